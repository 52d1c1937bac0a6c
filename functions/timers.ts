import { app } from '@azure/functions';
import { broker } from '../src/app.ts';

app.timer('permissionAudit', { schedule: '0 0 */6 * * *', handler: () => broker.auditPermissions() });
app.timer('accessWatch', { schedule: '*/15 * * * * *', handler: () => broker.watch() });

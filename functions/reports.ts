import { descriptionRoutes } from '../src/http/routes.ts';
import { auditRoutes } from '../src/http/routes/audits.ts';
import { pageRoutes } from '../src/http/routes/page.ts';
import { reportRoutes } from '../src/http/routes/reports.ts';
import { register } from './register.ts';

register(reportRoutes);
register(auditRoutes);
register(pageRoutes);
register(descriptionRoutes);

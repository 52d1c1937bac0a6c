import { app } from '@azure/functions';
import { broker } from '../src/app.ts';
import './operations.ts';
import './registry.ts';
import './reports.ts';
import './timers.ts';
import './unknown.ts';

// Without streaming the host passes on no body that comes in chunks.
app.setup({ enableHttpStream: true });

// What waits is stored before the process goes; the platform gives 5 seconds.
app.hook.appTerminate(() => broker.close());

import { batchRoutes } from '../src/http/routes/batch.ts';
import { operationRoutes } from '../src/http/routes/operations.ts';
import { register } from './register.ts';

register(operationRoutes);
register(batchRoutes);

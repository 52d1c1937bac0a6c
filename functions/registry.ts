import { keyRoutes } from '../src/http/routes/keys.ts';
import { registryRoutes } from '../src/http/routes/registry.ts';
import { register } from './register.ts';

register(registryRoutes);
register(keyRoutes);

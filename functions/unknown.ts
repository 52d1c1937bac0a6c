import { app } from '@azure/functions';
import { broker } from '../src/app.ts';
import { unknownPath } from '../src/http/unknown-path.ts';

const { id, methods, path } = unknownPath;
app.http(id, { methods: [...methods], route: path, authLevel: 'anonymous', handler: broker.serveUnknownPath });

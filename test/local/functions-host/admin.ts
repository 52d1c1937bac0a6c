import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { RegisteredFunction } from './core.ts';
import { answer } from './http.ts';
import type { InvocationRequest, LogLevel } from './seam.ts';
import { timerRequest, timerTrigger } from './timers.ts';

interface AdminParts {
  readonly functions: ReadonlyMap<string, RegisteredFunction>;
  /** Why functions could not be loaded; part of the status. */
  readonly errors: readonly string[];
  /** Runs one invocation to its end. Never rejects. */
  readonly run: (target: RegisteredFunction, request: InvocationRequest) => Promise<void>;
  readonly log: (level: LogLevel, source: string, message: string) => void;
}

type Admin = (request: IncomingMessage, response: ServerResponse, path: string) => void;

/**
 * The host's own API (facts 1.5, 6): ping, status and the start of a function by hand. In Azure all but ping ask for the master key; as
 * under `func start`, nothing does here. Any other path is a 404.
 */
export function createAdmin(parts: AdminParts): Admin {
  const id = randomUUID().replaceAll('-', '');
  const byName = new Map([...parts.functions.values()].map((target) => [target.metadata.name.toLowerCase(), target]));
  return (request, response, path) => {
    const [area, what, ...others] = path.toLowerCase().split('/').slice(2);
    const call = `${request.method ?? ''} ${area ?? ''}`;
    if (others.length > 0) answer(response, 404);
    else if (what === 'ping' && (call === 'GET host' || call === 'POST host')) answer(response, 200);
    else if (what === 'status' && call === 'GET host') writeStatus(response, id, parts.errors);
    else if (what !== undefined && call === 'POST functions') void startByHand(parts, byName.get(what), { request, response });
    else answer(response, 404);
  };
}

function writeStatus(response: ServerResponse, id: string, errors: readonly string[]): void {
  const status = {
    id,
    state: errors.length > 0 ? 'Error' : 'Running',
    version: '4.1037.0.0',
    versionDetails: '4.1037.0',
    platformVersion: '',
    instanceId: '',
    computerName: '',
    processUptime: Math.round(process.uptime() * 1000),
    functionAppContentEditingState: 'Unknown',
    errors,
  };
  response.setHeader('content-type', 'application/json; charset=utf-8').end(JSON.stringify(status));
}

async function startByHand(
  { run, log }: AdminParts,
  target: RegisteredFunction | undefined,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const isJson = /^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '');
  const status = !isJson ? 415 : !isObject(await text(request)) ? 400 : !target ? 404 : 202;
  answer(response, status);
  if (status !== 202 || !target) return;
  const timer = timerTrigger(target);
  if (timer) await run(target, timerRequest(timer.name, { last: 0, next: Date.now(), isPastDue: false }));
  else log('warning', target.metadata.name, 'started by hand without a request: only timers run so');
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

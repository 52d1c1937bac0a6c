import { Agent, request } from 'node:http';
import { doJobs } from '../child.ts';
import { run } from './pace.ts';
import type { Answered, Pace } from './pace.ts';

/** A request that is sent as it is. */
export interface Shot {
  readonly method?: string;
  /** `http:` */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Shots are taken in turn, from the first, as often as the pace asks for. */
export interface HttpJob {
  readonly shots: readonly Shot[];
  readonly pace: Pace;
}

/** A load generator with little CPU of its own: kept connections, and answers are read no further than needed. */
const agent = new Agent({ keepAlive: true });

doJobs<HttpJob>(async ({ shots, pace }) => {
  const senders = shots.map(senderOf);
  return run(pace, (index) => senders[index % senders.length]?.() ?? Promise.reject(new Error('no shots')));
});

function senderOf({ method = 'POST', url, headers, body }: Shot): () => Promise<Answered> {
  const { hostname, port, pathname, search } = new URL(url);
  const bytes = Buffer.from(body);
  const options = {
    agent,
    method,
    hostname,
    port,
    path: pathname + search,
    headers: { ...headers, 'content-type': 'application/json', 'content-length': bytes.length },
  };
  return () =>
    new Promise((resolve) => {
      const outgoing = request(options, (response) => {
        const status = response.statusCode ?? 0;
        if (status < 400) {
          response.resume();
          response.once('end', () => resolve({ status }));
          return;
        }
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => resolve({ status, ...readProblem(Buffer.concat(chunks).toString()) }));
      });
      outgoing.once('error', (error) => resolve({ status: 0, problem: error.message }));
      outgoing.end(bytes);
    });
}

/** Of a problem document: its detail, and `retryAfterMs`, of which the Retry-After header has the whole seconds. */
function readProblem(text: string): Pick<Answered, 'retryAfterMs' | 'problem'> {
  try {
    const { code, detail, retryAfterMs } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return {
      retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
      problem: `${String(code)}: ${String(detail)}, retryAfterMs ${String(retryAfterMs)}`,
    };
  } catch {
    return { problem: 'no problem document' };
  }
}

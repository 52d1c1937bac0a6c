import { fork } from 'node:child_process';
import { join } from 'node:path';

/** What is sent to a child, and what it answers with: the same id. */
interface Question {
  readonly id: number;
  readonly job: unknown;
}
type Reply = { readonly id: number; readonly result: unknown } | { readonly id: number; readonly failed: string };

/** A process that does jobs, one after the other or several at once. */
export interface Child {
  readonly pid: number;
  /** Sends a job and gives what came of it. Rejects with what the child says, or if it ends. */
  do<T>(job: unknown): Promise<T>;
  stop(): Promise<void>;
}

const local = join(import.meta.dirname, '../local');

/**
 * Starts a file of this folder as a process. It finds the local vaults by name, as brokers do, and ends with its parent.
 *
 * @param script path relative to this folder
 * @param env its whole environment beside PATH
 */
export async function startChild(script: string, env: Readonly<Record<string, string>>): Promise<Child> {
  const child = fork(join(import.meta.dirname, script), [], {
    execArgv: ['--import', join(local, 'preload.ts'), '--import', join(local, 'lifeline.ts')],
    env: { PATH: process.env['PATH'] ?? '', ...env },
    serialization: 'advanced',
  });
  const open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let asked = 0;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      for (const { reject } of open.values()) reject(new Error(`${script} ended with code ${String(code)}`));
      resolve();
    });
  });
  child.on('message', (reply: Reply) => {
    const waiting = open.get(reply.id);
    open.delete(reply.id);
    if ('failed' in reply) waiting?.reject(new Error(`${script}: ${reply.failed}`));
    else waiting?.resolve(reply.result);
  });
  const started: Child = {
    pid: child.pid ?? 0,
    do: <T>(job: unknown) =>
      new Promise<T>((resolve, reject) => {
        const id = asked++;
        open.set(id, { resolve: (value) => resolve(value as T), reject });
        child.send({ id, job } satisfies Question);
      }),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  await started.do(null);
  return started;
}

/** The child's side: answers each job with what `work` makes of it; `null` asks whether it is there. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names what its parent sends
export function doJobs<J>(work: (job: J) => Promise<unknown>): void {
  process.channel?.ref();
  process.on('message', (question: Question) => {
    const { id, job } = question;
    if (typeof id !== 'number') return;
    Promise.resolve(job === null ? null : work(job as J)).then(
      (result) => process.send?.({ id, result } satisfies Reply),
      (error: unknown) =>
        process.send?.({ id, failed: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies Reply),
    );
  });
}

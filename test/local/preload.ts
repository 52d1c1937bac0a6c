import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { isVaultHost, resolveLikeLibc } from './libc-names.ts';
import type { LibcAnswer } from './libc-names.ts';

/**
 * Loaded into broker processes before the app (`node --import`). Two things of the machine cannot be moved from outside, the wall clock
 * and the resolver of host names; all else is left alone, so that the app that runs is the one that is deployed.
 */

/** Message of the parent process, sent back when it is in force: how far the wall clock is ahead of the machine's, in milliseconds. */
export interface ClockMessage {
  readonly clockOffsetMs: number;
}

moveClock(Number(process.env['LOCAL_CLOCK_OFFSET_MS'] ?? '0'));
const nameServer = process.env['LOCAL_NAME_SERVER'];
if (nameServer !== undefined) lookUpVaultsAt(nameServer);

/** Moves `Date.now()`, `new Date()` and `Date()`. Monotonic time and timers stay as they are. */
function moveClock(startMs: number): void {
  let offset = startMs;
  const Machine = Date;
  const machineNow = Machine.now.bind(Machine);
  const now = (): number => machineNow() + offset;

  function Moved(this: unknown, ...args: unknown[]): unknown {
    const constructor: unknown = new.target;
    if (typeof constructor !== 'function') return new Machine(now()).toString();
    return Reflect.construct(Machine, args.length === 0 ? [now()] : args, constructor);
  }
  Object.setPrototypeOf(Moved, Machine);
  globalThis.Date = Object.assign(Moved, { prototype: Machine.prototype, now }) as unknown as DateConstructor;

  process.on('message', (message: unknown) => {
    if (!isClockMessage(message)) return;
    offset = message.clockOffsetMs;
    process.send?.({ clockOffsetMs: offset } satisfies ClockMessage);
  });
  // A listener would keep the process alive for as long as its parent lives.
  process.channel?.unref();
}

function isClockMessage(message: unknown): message is ClockMessage {
  return typeof message === 'object' && message !== null && typeof (message as Partial<ClockMessage>).clockOffsetMs === 'number';
}

/** Lets `dns.lookup` in all its forms ask the environment's name server for vaults, and no one else for them. */
function lookUpVaultsAt(address: string): void {
  const libcLookup = dns.lookup.bind(dns) as (...args: unknown[]) => void;
  const libcLookupPromise = dns.promises.lookup.bind(dns.promises) as (...args: unknown[]) => Promise<unknown>;

  const lookup = (host: string, ...rest: unknown[]): void => {
    if (!isVaultHost(host)) {
      libcLookup(host, ...rest);
      return;
    }
    const callback = rest.at(-1) as (error: Error | null, ...answer: unknown[]) => void;
    const { all, family } = lookupOptions(rest.length > 1 ? rest[0] : undefined);
    resolveLikeLibc(address, host, family).then(
      (answers) => callback(null, ...(all ? [answers] : [answers[0]?.address, answers[0]?.family])),
      (error: unknown) => callback(error as Error),
    );
  };
  const lookupPromise = async (host: string, options?: unknown): Promise<unknown> => {
    if (!isVaultHost(host)) return libcLookupPromise(host, options);
    const { all, family } = lookupOptions(options);
    const answers = await resolveLikeLibc(address, host, family);
    return all ? answers : answers[0];
  };
  Object.assign(dns, { lookup });
  Object.assign(dns.promises, { lookup: lookupPromise });
  syncBuiltinESMExports();
}

/** The second argument of `dns.lookup`: nothing, a family, or options. */
function lookupOptions(options: unknown): { all: boolean; family: LibcAnswer['family'] | 0 } {
  const given = typeof options === 'object' && options !== null ? (options as { all?: boolean; family?: unknown }) : { family: options };
  const family = given.family === 6 || given.family === 'IPv6' ? 6 : given.family === 4 || given.family === 'IPv4' ? 4 : 0;
  return { all: given.all ?? false, family };
}

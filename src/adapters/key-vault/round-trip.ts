import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Instant, Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Address } from './addresses.ts';
import type { Connection } from './connections.ts';
import { brokenOff, noHeaders, type WireRequest, type WireResult } from './wire.ts';

/** What a connection dies of that the other side had closed, or closes. */
const lost = 'ECONNRESET';
const staleErrnos: ReadonlySet<string> = new Set([lost, 'EPIPE']);

/** What a round trip is for. */
export interface Asked {
  readonly request: WireRequest;
  readonly address: Address;
  readonly clock: Clock;
  readonly maxBodyBytes: number;
  readonly resolve: (result: WireResult) => void;
}

/**
 * One request and its response: settled once, by whatever comes first of its response, an error and its deadline. The connection is given back
 * when the HTTP client is done with the request, which may be later. While it tells of an end it must not be given the next request: what
 * follows is a microtask.
 */
export class RoundTrip implements Dispatcher.DispatchHandler {
  readonly #of: Asked;
  readonly #begunAt: Millis;
  readonly #body: Buffer | null;
  #sentAt: Instant;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;
  #leaveQueue: (() => void) | undefined;
  #connection: Connection | undefined;
  /** Which making of the connection stood before this request; undefined where none did, or it was sent once more. */
  #reused: number | undefined;
  #attempts = 0;
  #asking = false;
  /** There from when the connection stands. */
  #controller: Dispatcher.DispatchController | undefined;
  #answerBegan = false;
  #status: number | null = null;
  #headers = noHeaders;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(of: Asked) {
    this.#of = of;
    this.#begunAt = of.clock.elapsed();
    this.#sentAt = of.clock.now();
    this.#body = of.request.body === undefined ? null : Buffer.from(of.request.body);
  }

  begin(within: number): void {
    this.#timer = setTimeout(() => this.#giveUp(), Math.max(within, 0));
    this.#leaveQueue = this.#of.address.host.connections.lend((connection) => this.#goOver(connection));
  }

  #goOver(connection: Connection): void {
    this.#connection = connection;
    this.#reused = connection.stands ? connection.makings : undefined;
    this.#dispatch(connection);
  }

  #dispatch(connection: Connection): void {
    const { request, address } = this.#of;
    const { method, mayLeave } = request;
    this.#attempts += 1;
    const headers = rawHeaders(request.headers, mayLeave && this.#body);
    const asked = mayLeave && { [Symbol.asyncIterator]: () => this.#bodyIf(mayLeave) };
    // The HTTP client takes any iterable, which its types do not say.
    const body = asked === undefined ? this.#body : (asked as never);
    connection.dispatch({ method, path: address.path, headers, body }, this);
  }

  /** The HTTP client asks for the body when the connection stands, and writes nothing before it has its first part. */
  async *#bodyIf(allowed: () => Promise<boolean>): AsyncGenerator<Buffer> {
    const attempt = this.#attempts;
    this.#asking = true;
    const may = await allowed().catch(() => false);
    // The connection was lost meanwhile, and the question is asked anew.
    if (attempt !== this.#attempts) throw new Error('the request goes another way');
    this.#asking = false;
    if (!may) this.#settle(brokenOff.heldBack, null);
    if (this.#settled) throw new Error('the request was held back');
    this.#sentAt = this.#of.clock.now();
    if (this.#body !== null) yield this.#body;
  }

  #giveUp(): void {
    this.#leaveQueue?.();
    this.#settle(this.#lateness(), null);
    if (this.#connection === undefined) this.#wipe();
    else if (this.#controller === undefined) this.#connection.stopMaking();
  }

  #lateness(): string {
    // Nothing was sent yet, and who was slow is who says whether it may be.
    if (this.#asking) return brokenOff.heldBack;
    const { host } = this.#of.address;
    return this.#connection === undefined && host.answeredAt > this.#begunAt ? brokenOff.noConnection : brokenOff.deadline;
  }

  #settle(errno: string | null, body: string | null): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    const { clock, resolve } = this.#of;
    resolve({ sentAt: this.#sentAt, receivedAt: clock.now(), status: this.#status, headers: this.#headers, body, errno });
    if (errno !== null) this.#controller?.abort(new Error('the round trip was broken off'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // The HTTP client sends nothing then, and keeps the connection.
    if (this.#settled) throw new Error('the request was given up');
    this.#controller = controller;
    this.#sentAt = this.#of.clock.now();
  }

  onResponseStarted(): void {
    this.#answerBegan = true;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // What comes before the response, as 103, says nothing.
    if (status < 200) return;
    const { address, clock } = this.#of;
    address.host.answeredAt = clock.elapsed();
    this.#status = status;
    this.#headers = withoutLists(headers);
    const encoding = this.#headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') this.#settle(brokenOff.encoded, null);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size > this.#of.maxBodyBytes) this.#settle(brokenOff.tooLarge, null);
  }

  onResponseEnd(): void {
    const [only, ...more] = this.#chunks;
    if (only && more.length === 0) {
      this.#settle(null, only.toString('utf8'));
    } else {
      const whole = Buffer.concat(this.#chunks, this.#size);
      this.#settle(null, whole.toString('utf8'));
      whole.fill(0);
    }
    this.#end();
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    const errno = errnoOf(error, this.#status);
    const connection = this.#connection;
    if (connection && !this.#settled && this.#wasStale(connection, errno)) {
      this.#reused = undefined;
      this.#controller = undefined;
      this.#asking = false;
      queueMicrotask(() => (this.#settled ? this.#end() : this.#dispatch(connection)));
      return;
    }
    this.#settle(errno, null);
    this.#end();
  }

  /** The mark of a kept connection that the other side had closed (C1): lost before any byte came back. */
  #wasStale(connection: Connection, errno: string): boolean {
    return this.#reused === connection.makings && !this.#answerBegan && staleErrnos.has(errno);
  }

  #end(): void {
    this.#wipe();
    const connection = this.#connection;
    if (connection) queueMicrotask(() => this.#of.address.host.connections.giveBack(connection));
  }

  /**
   * Bodies may hold a plaintext DEK (C4). What cannot be wiped: the strings that they are made of or into, and the memory of the HTTP client's
   * parser, in which the next answer takes the place of the last.
   */
  #wipe(): void {
    for (const chunk of this.#chunks) chunk.fill(0);
    this.#body?.fill(0);
  }
}

/** Names and values in turn. The HTTP client adds the length, but for a body that it cannot see. */
function rawHeaders(headers: WireRequest['headers'], unseen: Buffer | null | undefined): string[] {
  const raw: string[] = [];
  for (const name in headers) if (name !== 'content-length') raw.push(name, headers[name] ?? '');
  if (unseen) raw.push('content-length', String(unseen.length));
  return raw;
}

/** A header that came several times is one with all values, as Node's own client has it. */
function withoutLists(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  for (const name in headers) if (Array.isArray(headers[name])) headers[name] = headers[name].join(', ');
  return headers;
}

/** The errno or code of a failed connection. Where several addresses were tried, that of one that this machine could route to at all. */
function errnoOf(error: NodeJS.ErrnoException, status: number | null): string {
  if (endedEarly(error, status)) return lost;
  const tried = error instanceof AggregateError ? (error.errors as readonly NodeJS.ErrnoException[]) : [];
  return tried.find((one) => one.code !== undefined && one.code !== 'ENETUNREACH')?.code ?? error.code ?? error.name;
}

/** The HTTP client's words for a connection that ended before its response did; the codes alone say it of other things, too. */
function endedEarly({ code, name, message }: NodeJS.ErrnoException, status: number | null): boolean {
  if (code === 'UND_ERR_SOCKET') return message === 'other side closed' || message === 'closed';
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return status !== null;
  return name === 'HTTPParserError' && message.includes('EOF');
}

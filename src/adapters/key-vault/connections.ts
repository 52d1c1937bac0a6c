import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Client, type buildConnector, type Dispatcher } from 'undici';

/** How long a connection is kept that nobody uses, where its host does not say how long. */
const keepAliveMs = 60_000;

/** The connections to one host: each carries one request at a time, and the one that was used last is used next. */
export class Connections {
  readonly #origin: string;
  readonly #ca: string[] | undefined;
  readonly #most: number;
  readonly #all: Connection[] = [];
  readonly #free: Connection[] = [];
  /** In the order in which they came. */
  readonly #waiting = new Set<(connection: Connection) => void>();
  readonly #tlsSession: TlsSession = { newest: undefined };

  /**
   * @param origin scheme, name and port
   * @param most open at once
   * @param ca certificate authorities in PEM to trust; undefined: Node's own list
   */
  constructor(origin: string, most: number, ca: readonly string[] | undefined) {
    this.#origin = origin;
    this.#most = most;
    this.#ca = ca && [...ca];
  }

  /**
   * Lends one, at once or when another gives his back.
   * @returns gives up waiting; without effect once it was lent
   */
  lend(to: (connection: Connection) => void): () => void {
    const connection = this.#free.pop() ?? this.#another();
    if (connection) to(connection);
    else this.#waiting.add(to);
    return () => void this.#waiting.delete(to);
  }

  /** To be called once for each that was lent, when nothing of the request is under way on it any more. */
  giveBack(connection: Connection): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free.push(connection);
    } else {
      this.#waiting.delete(next);
      next(connection);
    }
  }

  /** Breaks off what is under way. */
  close(): void {
    for (const connection of this.#all) connection.close();
  }

  #another(): Connection | undefined {
    if (this.#all.length >= this.#most) return undefined;
    const connection = new Connection(this.#origin, this.#ca, this.#tlsSession);
    this.#all.push(connection);
    return connection;
  }
}

/** What makes the next handshake with a host shorter, shared by its connections. */
interface TlsSession {
  newest: Buffer | undefined;
}

/** A connection, made when it is first needed and made again when it was lost. */
export class Connection {
  readonly #client: Client;
  readonly #trust: { readonly ca?: string[] };
  readonly #tlsSession: TlsSession;
  #making: Socket | undefined;
  #wanted = false;
  #stands = false;
  #makings = 0;

  constructor(origin: string, ca: string[] | undefined, tlsSession: TlsSession) {
    this.#trust = ca === undefined ? {} : { ca };
    this.#tlsSession = tlsSession;
    this.#client = new Client(origin, {
      connect: (options, callback) => this.#make(options, callback),
      // Whoever sends has a deadline for all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      pipelining: 1,
      allowH2: false,
    });
    this.#client.on('connect', () => (this.#stands = true)).on('disconnect', () => (this.#stands = false));
  }

  /** Whether it was made before, and is not known to be lost. */
  get stands(): boolean {
    return this.#stands;
  }

  /** How often it was made. A request has gone over a connection that stood before it only if this is as it was. */
  get makings(): number {
    return this.#makings;
  }

  /** Sends a request over it, made anew if it does not stand. `handler` hears how it ended: by `onResponseEnd` or `onResponseError`. */
  dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#wanted = true;
    this.#client.dispatch(request, handler);
  }

  /** Where it is still being made, or will be as soon as the one before is gone, that ends in an error of the request for which it is made. */
  stopMaking(): void {
    this.#wanted = false;
    this.#making?.destroy(unwanted());
  }

  close(): void {
    this.stopMaking();
    void this.#client.destroy();
  }

  #make({ hostname, port }: buildConnector.Options, callback: buildConnector.Callback): void {
    if (!this.#wanted) {
      callback(unwanted(), null);
      return;
    }
    this.#makings += 1;
    const offered = this.#tlsSession.newest;
    const socket: TLSSocket = connect({
      ...this.#trust,
      host: hostname,
      port: Number(port || 443),
      servername: isIP(hostname) ? '' : hostname,
      ...(offered && { session: offered }),
    });
    this.#making = socket;
    const made = (): void => {
      this.#making = undefined;
      socket.off('error', failed).off('secureConnect', stands);
    };
    const stands = (): void => {
      made();
      callback(null, socket);
    };
    const failed = (error: Error): void => {
      made();
      // A host that refuses a session would refuse it for ever.
      if (this.#tlsSession.newest === offered) this.#tlsSession.newest = undefined;
      callback(error, null);
    };
    socket.setNoDelay(true).setKeepAlive(true, keepAliveMs);
    socket.on('session', (session) => (this.#tlsSession.newest = session));
    socket.once('secureConnect', stands).once('error', failed);
  }
}

function unwanted(): Error {
  return new Error('the request gave up waiting for its connection');
}

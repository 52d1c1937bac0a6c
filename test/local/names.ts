import { createSocket, type RemoteInfo } from 'node:dgram';

/**
 * What the name server says of a name: its IPv4 address; `nodata`: it exists, but has no address; `nxdomain`: it does not exist;
 * `servfail`: the server cannot tell.
 */
export type NameAnswer = { readonly address: string } | 'nodata' | 'nxdomain' | 'servfail';

export interface NameServer {
  /** Where it listens (UDP), in the form that `dns.Resolver.setServers` takes: `127.0.0.1:{port}`. */
  readonly address: string;
  /** Gives or changes a name's answer; letter case does not matter. */
  set(host: string, answer: NameAnswer): void;
  /** Forgets a name, which is NXDOMAIN from then on. */
  remove(host: string): void;
  close(): Promise<void>;
}

/**
 * Starts a name server on loopback (RFC 1035, UDP, class IN). It answers A queries with TTL 0, any other type of a known name
 * with NODATA, and NXDOMAIN for names that it was not told of. What it cannot read it does not answer.
 */
export async function startNameServer(): Promise<NameServer> {
  const names = new Map<string, NameAnswer>();
  const socket = createSocket('udp4');
  socket.on('message', (query: Buffer, from: RemoteInfo) => {
    const reply = answer(query, (name) => names.get(name) ?? 'nxdomain');
    if (reply !== undefined) socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, '127.0.0.1', () => {
      socket.off('error', reject);
      resolve();
    });
  });
  const { address, port } = socket.address();
  return {
    address: `${address}:${port}`,
    set: (host, given) => void names.set(host.toLowerCase(), given),
    remove: (host) => void names.delete(host.toLowerCase()),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

const headerLength = 12;
const typeA = 1;
const classIn = 1;
/** Response, authoritative; the client's wish for recursion is copied. */
const flags = { response: 0x8400, recursionDesired: 0x0100, isResponse: 0x8000, opcode: 0x7800 };
const code = { noError: 0, serverFailure: 2, nameError: 3, notImplemented: 4 } as const;

/** Builds the reply to one query; undefined for what is no query with exactly one question. */
function answer(query: Buffer, lookUp: (name: string) => NameAnswer): Buffer | undefined {
  if (query.length < headerLength) return undefined;
  const asked = query.readUInt16BE(2);
  if ((asked & flags.isResponse) !== 0 || query.readUInt16BE(4) !== 1) return undefined;
  const question = readQuestion(query);
  if (question === undefined) return undefined;
  const found = (asked & flags.opcode) === 0 && question.class === classIn ? lookUp(question.name) : 'notImplemented';
  const address = typeof found === 'object' && question.type === typeA ? addressRecord(found.address) : undefined;

  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(flags.response | (asked & flags.recursionDesired) | responseCode(found), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(address === undefined ? 0 : 1, 6);
  return Buffer.concat([header, query.subarray(headerLength, question.end), ...(address === undefined ? [] : [address])]);
}

function responseCode(found: NameAnswer | 'notImplemented'): number {
  if (found === 'nxdomain') return code.nameError;
  if (found === 'servfail') return code.serverFailure;
  return found === 'notImplemented' ? code.notImplemented : code.noError;
}

interface Question {
  /** In lower case, without the final dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Offset of the byte after the question. */
  readonly end: number;
}

function readQuestion(query: Buffer): Question | undefined {
  const labels: string[] = [];
  let offset = headerLength;
  for (;;) {
    const length = query[offset];
    // A length above 63 is a compression pointer, which the first name of a message cannot have.
    if (length === undefined || length > 63) return undefined;
    offset += 1;
    if (length === 0) break;
    labels.push(query.toString('latin1', offset, offset + length));
    offset += length;
  }
  if (offset + 4 > query.length) return undefined;
  const name = labels.join('.').toLowerCase();
  return { name, type: query.readUInt16BE(offset), class: query.readUInt16BE(offset + 2), end: offset + 4 };
}

/** An A record whose name is a pointer to the question's. */
function addressRecord(address: string): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc000 | headerLength, 0);
  record.writeUInt16BE(typeA, 2);
  record.writeUInt16BE(classIn, 4);
  record.writeUInt16BE(4, 10);
  record.set(address.split('.').map(Number), 12);
  return record;
}

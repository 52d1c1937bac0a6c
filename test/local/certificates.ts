import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** A private key and its certificate, both PEM. */
export interface Certified {
  readonly key: string;
  readonly cert: string;
}

/** A throw-away certificate authority; its key lives in memory only. */
export interface Authority {
  /** The authority's own certificate (PEM), which a client has to trust. */
  readonly cert: string;
  /** A server certificate for exactly these DNS names. */
  issue(...hosts: readonly [string, ...string[]]): Certified;
}

const dayMs = 86_400_000;
const validDays = 365;

/**
 * Makes a certificate authority with P-256 keys, valid from yesterday for a year.
 *
 * Validity goes by the machine's clock, not by the environment's: OpenSSL reads the real time, whatever `Date` says.
 * @param commonName what a person sees in an error message of a client that does not trust it.
 */
export function createAuthority(commonName: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { commonName, keyId: keyIdentifier(publicKey), privateKey };
  const constraints = extension(oid.basicConstraints, sequence(tlv(tag.boolean, Buffer.from([0xff]))), true);
  const usage = extension(oid.keyUsage, tlv(tag.bitString, Buffer.from([1, 0b0000_0110])), true);
  return {
    cert: certificate(commonName, publicKey, [constraints, usage], issuer),
    issue(...hosts) {
      const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const extensions = [
        extension(oid.basicConstraints, sequence(), true),
        extension(oid.keyUsage, tlv(tag.bitString, Buffer.from([7, 0b1000_0000])), true),
        extension(oid.extendedKeyUsage, sequence(objectId(oid.serverAuth))),
        extension(oid.subjectAltName, sequence(...hosts.map((host) => tlv(tag.dnsName, Buffer.from(host, 'ascii'))))),
      ];
      return {
        key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        cert: certificate(hosts[0], leaf.publicKey, extensions, issuer),
      };
    },
  };
}

interface Issuer {
  readonly commonName: string;
  readonly keyId: Buffer;
  readonly privateKey: KeyObject;
}

/** RFC 5280 section 4.1, version 3, signed with ECDSA and SHA-256. */
function certificate(commonName: string, publicKey: KeyObject, extensions: readonly Buffer[], issuer: Issuer): string {
  const algorithm = sequence(objectId(oid.ecdsaWithSha256));
  const now = Date.now();
  const signed = sequence(
    tlv(tag.explicit0, tlv(tag.integer, Buffer.from([2]))),
    // The first bit is cleared, the second set: a serial number is positive and has no superfluous leading zero.
    tlv(tag.integer, Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    algorithm,
    distinguishedName(issuer.commonName),
    sequence(time(now - dayMs), time(now + validDays * dayMs)),
    distinguishedName(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(
      tag.explicit3,
      sequence(
        ...extensions,
        extension(oid.subjectKeyIdentifier, tlv(tag.octetString, keyIdentifier(publicKey))),
        extension(oid.authorityKeyIdentifier, sequence(tlv(tag.implicit0, issuer.keyId))),
      ),
    ),
  );
  const signature = tlv(tag.bitString, Buffer.concat([Buffer.from([0]), sign('sha256', signed, issuer.privateKey)]));
  const der = sequence(signed, algorithm, signature).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${der.replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

// What follows writes DER (ITU-T X.690), as much of it as a certificate needs.

const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** `[2] IMPLICIT IA5String`, the dNSName of a GeneralName. */
  dnsName: 0x82,
  implicit0: 0x80,
  explicit0: 0xa0,
  explicit3: 0xa3,
} as const;

const oid = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;

function tlv(type: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([type, ...size]), content]);
}

function sequence(...members: readonly Buffer[]): Buffer {
  return tlv(tag.sequence, Buffer.concat(members));
}

/** The first two arcs share a byte; the others are written in base 128, the high bit marking that more follow. */
function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of others) {
    const digits = [arc & 0x7f];
    for (let rest = arc >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return tlv(tag.objectId, Buffer.from(bytes));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tlv(tag.set, sequence(objectId(oid.commonName), tlv(tag.utf8String, Buffer.from(commonName)))));
}

/** RFC 5280 section 4.1.2.5: UTCTime through the year 2049, GeneralizedTime from 2050. */
function time(msSinceEpoch: number): Buffer {
  const digits = new Date(msSinceEpoch).toISOString().replace(/[-:T]|\.\d+/g, '');
  return digits < '2050' ? tlv(tag.utcTime, Buffer.from(digits.slice(2))) : tlv(tag.generalizedTime, Buffer.from(digits));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  const flag = critical ? [tlv(tag.boolean, Buffer.from([0xff]))] : [];
  return sequence(objectId(id), ...flag, tlv(tag.octetString, value));
}

function keyIdentifier(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

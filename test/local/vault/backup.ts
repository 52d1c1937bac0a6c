import { compactDecrypt, CompactEncrypt } from 'jose';
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { keySizes, materialFromJwk } from './key-material.ts';
import type { KeyVersion } from './keys.ts';

/** Seals keys into backups that only vaults of the same fleet can open, as the service's only open in their own world. */
export interface BackupSeal {
  /** `versions` oldest first; `kid` is a UUID that names the sealing. */
  seal(geography: string, versions: readonly KeyVersion[], kid: string): Promise<Uint8Array>;
  /** Undefined for what was not sealed here. */
  open(blob: Uint8Array): Promise<OpenedBackup | undefined>;
}

export interface OpenedBackup {
  readonly geography: string;
  readonly versions: readonly [KeyVersion, ...KeyVersion[]];
}

/** What a blob of the service begins with (facts, key-vault-behaviour 7.3); a compact JWE follows. */
const preamble = '&AzureKeyVaultKeyBackupV1.microsoft.com';

const sealedVersion = z.object({
  name: z.string(),
  version: z.string(),
  hsm: z.boolean(),
  keyOps: z.array(z.string()),
  enabled: z.boolean(),
  notBefore: z.number().nullable(),
  expires: z.number().nullable(),
  created: z.number(),
  updated: z.number(),
  tags: z.record(z.string(), z.string()).optional(),
  bits: z.literal(keySizes),
  jwk: z.record(z.string(), z.string()),
});
const sealedBackup = z.object({ geography: z.string(), versions: z.tuple([sealedVersion], sealedVersion) });
type SealedVersion = z.infer<typeof sealedVersion>;

export function createBackupSeal(): BackupSeal {
  let pair: Promise<{ publicKey: KeyObject; privateKey: KeyObject }> | undefined;
  const keys = () => (pair ??= promisify(generateKeyPair)('rsa', { modulusLength: 2048 }));
  return {
    async seal(geography, versions, kid) {
      const content = {
        geography,
        versions: versions.map(({ material, ...rest }) => ({ ...rest, bits: material.bits, jwk: material.toJwk() })),
      };
      const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify(content)))
        .setProtectedHeader({ kid, alg: 'RSA-OAEP', enc: 'A128CBC-HS256' })
        .encrypt((await keys()).publicKey);
      return Buffer.from(preamble + sealed);
    },
    async open(blob) {
      const text = Buffer.from(blob).toString('latin1');
      if (!text.startsWith(preamble)) return undefined;
      try {
        const { plaintext } = await compactDecrypt(text.slice(preamble.length), (await keys()).privateKey);
        const { geography, versions } = sealedBackup.parse(JSON.parse(Buffer.from(plaintext).toString()));
        const [first, ...others] = versions;
        return { geography, versions: [unseal(first), ...others.map(unseal)] };
      } catch {
        // Whatever is wrong with a blob, the service has one answer for it.
        return undefined;
      }
    },
  };
}

function unseal({ bits, jwk, tags, ...rest }: SealedVersion): KeyVersion {
  return { ...rest, tags, material: materialFromJwk(jwk, bits) };
}

import type { KeyFacts } from './key.ts';

/** A Key Vault or a Managed HSM pool. */
export interface Vault {
  readonly name: string;
  /** Origin, normalised: `https://{host}`, with a port only where the allowed suffix has one (law K1). */
  readonly uri: string;
  readonly kind: 'vault' | 'managedHsm';
  readonly region: string;
  readonly geography: string;
  readonly subscriptionId: string;
}

/** A kind of key by which the service counts its limits (facts, key-vault-behaviour 7.4). */
export interface KeyShape {
  readonly keyType: KeyFacts['keyType'];
  readonly keySize: number;
}

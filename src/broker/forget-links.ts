import type { LinkRef } from '../domain/access.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';
import { refOf } from './witness.ts';

/** Clears what is stored of access at links that were taken out of the registry, as far as they are not back there. Rejects with `StoreAway`. */
export async function forgetLinks(
  { registry, access }: Pick<Parts, 'registry'> & { readonly access: Access },
  before: RegisteredServer,
  gone: readonly Link[],
): Promise<void> {
  for (const link of gone) await forgetLink({ registry, access }, refOf(before, link));
}

/** The same of one link. `outlived`: which of its denials and doubts say nothing any more. */
export async function forgetLink(
  { registry, access }: Pick<Parts, 'registry'> & { readonly access: Pick<Access, 'unlinked'> },
  ref: LinkRef,
  outlived?: (at: Instant) => boolean,
): Promise<void> {
  const isLinked = async (): Promise<boolean> => {
    const registered = await registry.readServer(ref.server);
    return registered?.links.some((one) => one.keyId === ref.keyId) ?? false;
  };
  await access.unlinked(ref, isLinked, outlived);
}

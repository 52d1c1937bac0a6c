import type { Link, RegisteredServer } from '../domain/server.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';
import { refOf } from './witness.ts';

/** Clears what is stored of access at links that were taken out of the registry, as far as they are not back there. Rejects with `StoreAway`. */
export async function forgetLinks(
  { registry, access }: Pick<Parts, 'registry'> & { readonly access: Access },
  before: RegisteredServer,
  gone: readonly Link[],
): Promise<void> {
  for (const link of gone) {
    await access.unlinked(refOf(before, link), async () => {
      const registered = await registry.readServer(before.server.name);
      return registered?.links.some((one) => one.keyId === link.keyId) ?? false;
    });
  }
}

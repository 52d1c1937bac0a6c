import type { LinkAccess } from '../domain/access.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import { standingUnder } from '../policy/server-state.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';
import { stateEvent } from './server-events.ts';
import { refOf } from './witness.ts';
import type { WitnessTarget } from './witness.ts';

/**
 * A1–A3: moves the server of a protector to the state that follows from the latch on it and from time. The vaults of its twins must have been
 * read. Rejects with `StoreAway`.
 */
export function createMoveServer(
  { clock, registry, rules }: Pick<Parts, 'clock' | 'registry' | 'rules'>,
  access: Pick<Access, 'known'>,
): (target: WitnessTarget) => Promise<void> {
  function moves(registered: RegisteredServer, protector: Link): boolean {
    const { server } = registered;
    return standingUnder(latchOver(registered, protector), server, clock.now(), rules.state).state !== server.state;
  }

  /**
   * The latch that rules the server's state: that of its protector. Where the same material was set anew in another vault, that of the link
   * whose denial started the clock: only a protector with another thumbprint ends it (A2).
   */
  function latchOver(registered: RegisteredServer, protector: Link): LinkAccess['latch'] {
    const own = access.known(refOf(registered, protector))?.latch ?? null;
    const { clock: running } = registered.server;
    if (own !== null || running === null) return own;
    const latches = twinsOf(registered, protector).map((twin) => access.known(refOf(registered, twin))?.latch ?? null);
    return latches.find((latch) => latch?.firstDenialAt === running.firstDenialAt) ?? null;
  }

  return async ({ registered, link, ref }) => {
    if (!moves(registered, link)) return;
    await registry.changeServer(ref.server, (known) => {
      const protector = known?.links.find((one) => one.role === 'protector');
      if (known === undefined || protector?.keyId !== ref.keyId) return null;
      const now = clock.now();
      const server = { ...known.server, ...standingUnder(latchOver(known, protector), known.server, now, rules.state) };
      return server.state === known.server.state
        ? null
        : { next: { ...known, server }, events: stateEvent(known.server, server, now, clock.uuid()) };
    });
  };
}

/** The other links of the same material. */
export function twinsOf({ links }: RegisteredServer, { keyId, thumbprint }: Link): readonly Link[] {
  return links.filter((other) => other.thumbprint === thumbprint && other.keyId !== keyId);
}

import { done, refuse } from '../domain/refusal.ts';
import { protectorGroup } from '../domain/server.ts';
import type { RegisteredServer } from '../domain/server.ts';
import { allowed, online, standingAt } from '../policy/server-state.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';
import { rejected } from './prove-group.ts';
import type { ProveGroup } from './prove-group.ts';
import type { Roads } from './roads.ts';
import { stateEvent } from './server-events.ts';
import { viewServer } from './views.ts';
import { refOf } from './witness.ts';

/** A1, A3: a person has the keys of a server proven; what holds makes it online, what does not is told and changes nothing. */
export function createRevalidate(
  { clock, registry }: Pick<Parts, 'clock' | 'registry'>,
  access: Access,
  proveGroup: ProveGroup,
): Pick<Roads, 'revalidate'> {
  return {
    async revalidate(name) {
      const before = await registry.readServer(name);
      if (before === undefined) return refuse('NotFound', `there is no server ${name}`);
      const { state } = standingAt(before.server, clock.now());
      if (!allowed[state].includes('revalidate')) return refuse('Conflict', `server ${name} is ${state}: there is nothing to revalidate`);
      const group = protectorGroup(before);
      if (group === undefined) return refuse('Conflict', `server ${name} has no protector`);

      const proven = await proveGroup({
        registered: before,
        keyId: group.primary.keyId,
        standbyKeyIds: group.standbys.map((link) => link.keyId),
        use: 'protector',
        primaryFirst: true,
      });
      const stillWrong = proven.findings.filter((finding) => finding.severity === 'error' && finding.keyId === group.primary.keyId);
      if (stillWrong.length > 0) return rejected(name, proven);
      // The latch goes first: a server that is online under a confirmed latch would be at risk again at once.
      await proven.remember();
      if (access.known(refOf(before, group.primary))?.latch)
        return refuse('StateUnavailable', `access to the protector of server ${name} was denied once more meanwhile`, { retryable: true });
      const stored = await registry.changeServer(name, (known) =>
        known !== undefined && isAsProven(known, before) ? backOnline(known) : null,
      );
      if (stored === undefined) return refuse('NotFound', `there is no server ${name}`);
      if (!isAsProven(stored, before))
        return refuse('Conflict', `server ${name} was changed by others while its keys were proven`, { retryable: true });
      return done(viewServer(stored, clock.now()));
    },
  };

  function backOnline(known: RegisteredServer): { readonly next: RegisteredServer; readonly events: ReturnType<typeof stateEvent> } {
    const now = clock.now();
    const server = { ...known.server, ...online(now) };
    return { next: { ...known, server }, events: stateEvent(known.server, server, now, clock.uuid()) };
  }
}

/** Whether what was proven of the server is what it needs: the same registration, identity and protector. */
function isAsProven(known: RegisteredServer, proven: RegisteredServer): boolean {
  return (
    known.incarnation === proven.incarnation &&
    known.server.identityClientId === proven.server.identityClientId &&
    protectorGroup(known)?.primary.keyId === protectorGroup(proven)?.primary.keyId
  );
}

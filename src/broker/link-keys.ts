import type { BrokerEvent } from '../domain/event.ts';
import type { KeyId } from '../domain/key.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import { protectorGroup } from '../domain/server.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';
import { standingWithProtector } from '../policy/server-state.ts';
import { replaceProtector, spelledAsLinked, withAdditional, withoutGroup } from '../policy/links.ts';
import type { Access } from './access.ts';
import { stateAllows } from './authority.ts';
import { forgetLinks } from './forget-links.ts';
import type { Parts } from './parts.ts';
import { rejected } from './prove-group.ts';
import type { ProvenGroup, ProveGroup } from './prove-group.ts';
import type { LinkKeys, Registered, Roads } from './roads.ts';
import { stateEvent } from './server-events.ts';
import type { StoreReserved } from './store-reserved.ts';
import { viewLinks } from './views.ts';

type Linking = Pick<Roads, 'putProtector' | 'listKeys' | 'linkKey' | 'dropKey'>;
type Linked = Registered<{ readonly links: Awaited<ReturnType<typeof viewLinks>>; readonly findings: ProvenGroup['findings'] }>;

interface LinkParts {
  readonly parts: Parts;
  readonly access: Access;
  readonly proveGroup: ProveGroup;
  readonly storeReserved: StoreReserved;
}

/** Keys of a server: the protector, additional keys, standbys (K1–K6). */
export function createLinkKeys({ parts, access, proveGroup, storeReserved }: LinkParts): Linking {
  const { clock, registry } = parts;

  async function answer(registered: RegisteredServer, created: boolean, findings: ProvenGroup['findings']): Promise<Outcome<Linked>> {
    return done({ created, value: { links: await viewLinks(parts, access, registered), findings } });
  }

  /** Stores changed links; a change of the same server meanwhile is told, since what was proven may be outdated by it. */
  async function store(
    before: RegisteredServer,
    change: Partial<RegisteredServer>,
    events: readonly BrokerEvent[],
  ): Promise<Outcome<RegisteredServer>> {
    const stored = await storeReserved.change(before, { ...before, ...change }, events);
    return stored ?? refuse('Conflict', `server ${before.server.name} was changed meanwhile; try again`, { retryable: true });
  }

  return {
    async putProtector(asked) {
      const before = await registry.readServer(asked.server);
      if (before === undefined) return refuse('NotFound', `there is no server ${asked.server}`);
      const request = asLinked(before, asked);
      const refusal = stateAllows(before, 'setProtector', clock.now());
      if (refusal !== undefined) return { ok: false, refusal };
      if (isProtector(before, request)) return answer(before, false, []);
      const proven = await proveGroup({ ...request, registered: before, use: 'protector', primaryFirst: false });
      if (proven.links === undefined) return rejected(request.server, proven);
      const { primary, standbys } = proven.links;
      const former = protectorGroup(before)?.primary;
      await proven.remember();
      const now = clock.now();
      const links = replaceProtector(before.links, primary, standbys, now);
      const server = { ...before.server, ...standingWithProtector(before.server, former?.thumbprint !== primary.thumbprint, now) };
      const changed = protectorChanged(primary, former, { id: clock.uuid(), subject: server.name, time: now });
      const stored = await store(before, { server, links }, [changed, ...stateEvent(before.server, server, now, clock.uuid())]);
      return stored.ok ? answer(stored.value, former === undefined, proven.findings) : stored;
    },

    async listKeys(name) {
      const registered = await registry.readServer(name);
      if (registered === undefined) return refuse('NotFound', `there is no server ${name}`);
      return done({ items: await viewLinks(parts, access, registered), next: null });
    },

    async linkKey(asked) {
      const before = await registry.readServer(asked.server);
      if (before === undefined) return refuse('NotFound', `there is no server ${asked.server}`);
      const request = asLinked(before, asked);
      const refusal = stateAllows(before, 'linkAdditional', clock.now());
      if (refusal !== undefined) return { ok: false, refusal };
      const known = before.links.find((link) => link.keyId === request.keyId);
      if (known !== undefined)
        return sameLinking(before, known, request)
          ? answer(before, false, [])
          : refuse('Conflict', `key ${request.keyId} is linked already as ${known.role}`);
      const proven = await proveGroup({ ...request, registered: before, use: 'additional', primaryFirst: false });
      if (proven.links === undefined) return rejected(request.server, proven);
      const { primary, standbys } = proven.links;
      const twin = before.links.find(
        (link) => link.thumbprint === primary.thumbprint || standbys.some((standby) => standby.keyId === link.keyId),
      );
      if (twin !== undefined) return refuse('Conflict', `key ${twin.keyId} with the same material is linked already as ${twin.role}`);
      const links = withAdditional(
        before.links,
        { ...primary, protectorFrom: request.from ?? null, protectorTo: request.to ?? null },
        standbys,
      );
      await proven.remember();
      const stored = await store(before, { links }, []);
      return stored.ok ? answer(stored.value, true, proven.findings) : stored;
    },

    async dropKey({ server, thumbprint, confirmed }) {
      const before = await registry.readServer(server);
      if (before === undefined) return refuse('NotFound', `there is no server ${server}`);
      const refusal = stateAllows(before, 'dropKey', clock.now());
      if (refusal !== undefined) return { ok: false, refusal };
      const group = before.links.filter((link) => link.thumbprint === thumbprint);
      const [primary] = group.filter((link) => link.role !== 'standby');
      if (primary === undefined) return refuse('NotFound', `server ${server} has no key with thumbprint ${thumbprint}`);
      if (group.some((link) => link.role === 'protector'))
        return refuse('Conflict', `the key is the protector of server ${server} and cannot be dropped`);
      if (!confirmed) {
        const { keyId, vault } = primary;
        const action = 'See that no backup needs the key, then repeat with ?confirm=backupsGone.';
        return refuse('Conflict', 'a backup may still need the key', {
          findings: [
            {
              code: 'BackupUnconfirmed',
              severity: 'warning',
              server,
              keyId,
              vault,
              detail: 'nobody confirmed that no backup needs this key',
              action,
            },
          ],
        });
      }
      const stored = await store(before, { links: withoutGroup(before.links, thumbprint) }, []);
      if (!stored.ok) return stored;
      await forgetLinks({ registry, access }, before, group);
      return done(null);
    },
  };
}

/** The request with each key that is linked already in the spelling of its link. */
function asLinked<T extends LinkKeys>({ links }: RegisteredServer, asked: T): T {
  const spelled = (keyId: KeyId): KeyId => spelledAsLinked(links, keyId);
  return { ...asked, keyId: spelled(asked.keyId), standbyKeyIds: asked.standbyKeyIds.map(spelled) };
}

function sameStandbys(registered: RegisteredServer, primary: Link, wanted: LinkKeys): boolean {
  const standbys = registered.links.filter((link) => link.standbyOf === primary.keyId).sort((a, b) => a.rank - b.rank);
  return standbys.length === wanted.standbyKeyIds.length && standbys.every((link, i) => link.keyId === wanted.standbyKeyIds[i]);
}

function isProtector(registered: RegisteredServer, wanted: LinkKeys): boolean {
  const primary = protectorGroup(registered)?.primary;
  return primary?.keyId === wanted.keyId && sameStandbys(registered, primary, wanted);
}

function sameLinking(
  registered: RegisteredServer,
  known: Link,
  wanted: LinkKeys & { readonly from: Instant | undefined; readonly to: Instant | undefined },
): boolean {
  const sameSpan = (wanted.from ?? known.protectorFrom) === known.protectorFrom && (wanted.to ?? known.protectorTo) === known.protectorTo;
  return known.role === 'additional' && sameSpan && sameStandbys(registered, known, wanted);
}

function protectorChanged(next: Link, former: Link | undefined, about: Pick<BrokerEvent, 'id' | 'subject' | 'time'>): BrokerEvent {
  const data = { keyId: next.keyId, thumbprint: next.thumbprint, vault: next.vault, formerKeyId: former?.keyId ?? null };
  return { ...about, type: 'keybroker.protector.changed', data };
}

import type { LinkRef } from '../domain/access.ts';
import { isDenial } from '../domain/fault.ts';
import type { Fault } from '../domain/fault.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import { millis } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import { shapeAt } from '../policy/rate.ts';
import { consequenceOf } from '../policy/verdict.ts';
import type { DenialSeen } from '../policy/denial.ts';
import { Unreadable } from '../ports/store.ts';
import type { Reply } from '../ports/vault.ts';
import type { Access } from './access.ts';
import { proveCanary } from './canary.ts';
import type { Parts } from './parts.ts';

/** The link of a server, with what is needed to go and look there. */
export interface WitnessTarget {
  readonly registered: RegisteredServer;
  readonly link: Link;
  readonly ref: LinkRef;
}

/**
 * `proven` and `denied` are stored when they are told. An `outage`, a vault that only throttles, and what else is `undecided` decide nothing
 * (F6); but whoever meets an outage tells `Outages`, so that its circuit is probed until the vault answers (F2). `unasked`: no canary went
 * there, since the link is held back or the budget has no room.
 */
export type Sight = 'proven' | 'denied' | 'outage' | 'throttled' | 'undecided' | 'unasked';

/** Goes and looks: a canary unwrap at a link, and what follows from its answer (F4–F6, F9). */
export interface Witness {
  /** @param shared other links of the same key id and identity, for which the sight counts too (F6). Rejects with `StoreAway`. */
  look(target: WitnessTarget, why: 'probe' | 'audit', shared?: readonly WitnessTarget[]): Promise<Sight>;
}

/** How long the control plane may take (F9); its silence is no veto. */
const controlPlaneMs = millis(1500);

/** The reference by which a link's access is known. */
export function refOf(registered: RegisteredServer, link: Link): LinkRef {
  return { server: registered.server.name, keyId: link.keyId, vault: link.vault, identity: registered.server.identityClientId };
}

/** The link as somewhere to go and look. */
export function targetOf(registered: RegisteredServer, link: Link): WitnessTarget {
  return { registered, link, ref: refOf(registered, link) };
}

/** What the primary of a standby is known by; undefined for a link that is no standby. */
export function primaryRef({ registered, link }: WitnessTarget): LinkRef | undefined {
  const primary = registered.links.find((one) => one.keyId === link.standbyOf);
  return primary && refOf(registered, primary);
}

/** F3: whether the link is a standby whose primary is known to be latched: nothing may call there then, no canary either. */
export function primaryLatched(access: Pick<Access, 'known'>, target: WitnessTarget): boolean {
  const primary = primaryRef(target);
  const latch = primary && access.known(primary)?.latch;
  return latch !== undefined && latch !== null;
}

/** The same by a picture of the primary's vault that is at most a second old, since who calls may have read none. Rejects with `StoreAway`. */
export async function primaryLatchedNow(access: Pick<Access, 'known' | 'picture'>, target: WitnessTarget): Promise<boolean> {
  const primary = primaryRef(target);
  if (primary === undefined) return false;
  await access.picture(primary.vault);
  return primaryLatched(access, target);
}

/** What a denying fault says, ready to be stored. */
export function denialOf(fault: Fault, receivedAt: Instant, id: string): DenialSeen | undefined {
  if (!isDenial(fault.class)) return undefined;
  return { class: fault.class, reach: fault.reach ?? 'identity', code: fault.code, receivedAt, id };
}

export function createWitness(parts: Parts, access: Access): Witness {
  const { admission, circuits, clock, controlPlane, registry, rules, vaults } = parts;

  async function askVault(target: WitnessTarget, why: 'probe' | 'audit'): Promise<Reply<boolean> | undefined> {
    const vault = registry.peekVault(target.link.vault);
    if (vault === undefined) return undefined;
    const { keyType, keySize, keyId } = target.link;
    const cost = {
      vault: vault.name,
      key: shapeAt(vault.kind, { keyType, keySize }),
      points: rules.association.points.GeneralPurpose,
    };
    const { server } = target.ref;
    const admitted = await admission.admit({ ...cost, server, class: why, tier: 'GeneralPurpose', within: rules.probeMs });
    if (admitted !== undefined) return undefined;
    // F3: while the canary waited, access to the primary may have been taken away.
    if (await isHeldBack(target)) return undefined;
    const keyTarget = { vault, keyId, identity: target.ref.identity };
    const reply = await circuits.canary(vault.name, { keyId, operation: 'unwrapKey' }, () =>
      proveCanary(vaults, keyTarget, target.link.canary, rules.attemptMs),
    );
    admission.ended(cost);
    return reply;
  }

  /** F3: also where what is known of its primary cannot be read. */
  async function isHeldBack(target: WitnessTarget): Promise<boolean> {
    try {
      return await primaryLatchedNow(access, target);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return true;
    }
  }

  /** F9: a vault that is gone may answer as if it were down. */
  async function gone(vaultName: string, within: Millis): Promise<boolean> {
    const vault = registry.peekVault(vaultName);
    return vault !== undefined && (await controlPlane.vaultStatus(vault, within, access.health(vaultName).outageSince)) === 'deleted';
  }

  return {
    async look(target, why, shared = []) {
      const links = [target, ...shared];
      // F3: of links with the same key some may be held back as standbys of a latched primary; any other may be asked for all.
      const heldBack = await Promise.all(links.map(isHeldBack));
      const asked = links.find((_link, i) => heldBack[i] === false);
      if (asked === undefined) return 'unasked';
      const known = links.map(({ ref }) => access.known(ref)?.latch?.generation ?? null);
      const reply = await askVault(asked, why);
      if (reply === undefined) return 'unasked';
      if (reply.ok) {
        if (!reply.value) return 'undecided';
        for (const [i, { ref }] of links.entries()) await access.proven(ref, { sentAt: reply.sentAt, known: known[i] ?? null });
        return 'proven';
      }
      if (reply.fault.class === 'throttled') {
        // F7: the vault slows down for everybody, whatever call it told so.
        admission.throttled(target.ref.vault);
        return 'throttled';
      }
      const seen = await denialSeen(reply.fault, reply.receivedAt, target.link.vault);
      if (seen === undefined) {
        if (reply.fault.mayHideDenial) await access.doubted(asked.ref, reply.receivedAt);
        return consequenceOf(reply.fault, 'unwrap').outage ? 'outage' : 'undecided';
      }
      for (const { ref } of links) await access.denied(ref, { ...seen, id: clock.uuid(), witness: true });
      return 'denied';
    },
  };

  async function denialSeen(fault: Fault, receivedAt: Instant, vault: string): Promise<DenialSeen | undefined> {
    const seen = denialOf(fault, receivedAt, clock.uuid());
    if (seen !== undefined || !consequenceOf(fault, 'unwrap').outage || !(await gone(vault, controlPlaneMs))) return seen;
    return { class: 'vaultGone', reach: 'vault', code: 'VaultDeleted', receivedAt, id: clock.uuid() };
  }
}

import { sameLink } from '../domain/access.ts';
import type { AccessPicture, LinkRef } from '../domain/access.ts';
import type { Fault } from '../domain/fault.ts';
import { refuse } from '../domain/refusal.ts';
import type { Attempt, Refusal } from '../domain/refusal.ts';
import { protectorGroup } from '../domain/server.ts';
import type { Group, Link } from '../domain/server.ts';
import { millis, span } from '../domain/time.ts';
import { mayFailOver, primaryNotLatched } from '../policy/gate.ts';
import type { GateAnswer } from '../policy/gate.ts';
import { standingAt } from '../policy/server-state.ts';
import { StoreAway } from '../ports/store.ts';
import type { Attempts } from './attempt.ts';
import { createDeniedAccess } from './denied-access.ts';
import type { AttemptParts, KeyCall, Tried } from './key-call.ts';
import { refOf } from './witness.ts';

/** What came of an operation on a group. `attempts` holds every try, the last one last. */
export type Operated<T> =
  | { readonly ok: true; readonly value: T; readonly link: Link; readonly attempts: readonly Attempt[] }
  | { readonly ok: false; readonly refusal: Refusal; readonly link: Link; readonly attempts: readonly Attempt[] };

/** Tries a group: its primary, and on an outage its standbys in order, each behind the gate (F3, K6). */
export type AtGroup = <T>(group: Group, call: KeyCall<T>) => Promise<Operated<T>>;

const storeAway = refuse('StateUnavailable', 'F3: the store that decides on failover is away', { retryable: true }).refusal;

async function unlessAway<T, E>(ask: () => Promise<T>, otherwise: E): Promise<T | E> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof StoreAway)) throw error;
    return otherwise;
  }
}

function shows({ links }: AccessPicture, link: LinkRef): boolean {
  return links.some(({ ref }) => sameLink(ref, link));
}

/** What the control plane says of a vault, as a fault of it (F9). */
const vaultDeleted = (vault: string) =>
  ({
    class: 'vaultGone',
    status: null,
    code: 'VaultDeleted',
    reach: 'vault',
    mayHideDenial: false,
    outsideValidity: false,
    detail: `F9: vault ${vault} was deleted`,
  }) as const satisfies Fault;

/** F9: how long an outage may wait for the control plane's word. */
const controlPlaneMs = millis(1500);

export function createAtGroup(all: AttemptParts, attempts: Attempts): AtGroup {
  const { clock, controlPlane, registry, rules } = all.parts;
  const denied = createDeniedAccess(all);
  /** The vault is probed so often: sooner there is nothing new (F2). */
  const comeBack = { retryable: true, retryAfterMs: rules.probeMs };

  /** F9: what the control plane says of the primary's vault. One that it knows as deleted is a denial, not an outage. Rejects with `StoreAway`. */
  async function askControlPlane(primary: LinkRef): Promise<Refusal | 'exists' | 'unknown'> {
    const vault = registry.peekVault(primary.vault);
    if (vault === undefined) return 'unknown';
    const status = await controlPlane.vaultStatus(vault, controlPlaneMs, all.access.health(vault.name).outageSince);
    if (status !== 'deleted') return status;
    const fault = vaultDeleted(primary.vault);
    const { class: met, reach, code } = fault;
    await all.access.denied(primary, { class: met, reach, code, receivedAt: clock.now(), id: clock.uuid(), witness: false });
    return denied.refusal(primary, fault);
  }

  /** Of a primary without a standby: why it is refused, where the outage is not the whole story. */
  async function saidOfPrimary<T>({ primary: link }: Group, { registered }: KeyCall<T>): Promise<Refusal | undefined> {
    const primary = refOf(registered, link);
    const said = await unlessAway(() => askControlPlane(primary), storeAway);
    if (typeof said === 'object') return said;
    const picture = await unlessAway(() => all.access.picture(primary.vault), undefined);
    const answer = picture && primaryNotLatched({ primary, primaryPicture: picture });
    return answer?.open === false ? refuse('VaultUnavailable', `${answer.law}: ${answer.detail}`, comeBack).refusal : undefined;
  }

  /** F3 and F9, asked right before the standby is called. */
  async function gate<T>(group: Group, standby: Link, call: KeyCall<T>): Promise<Refusal | undefined> {
    const { server } = call.registered;
    const primary = refOf(call.registered, group.primary);
    const standbyRef = refOf(call.registered, standby);
    try {
      const said = await askControlPlane(primary);
      if (typeof said === 'object') return said;
      const protector = refOf(call.registered, protectorGroup(call.registered)?.primary ?? group.primary);
      const see = async (): Promise<{ readonly answer: GateAnswer; readonly allSeen: boolean }> => {
        const [primaryPicture, standbyPicture, protectorPicture] = await all.access.pictures(
          primary.vault,
          standbyRef.vault,
          protector.vault,
        );
        const now = clock.now();
        const question = {
          now,
          state: standingAt(server, now).state,
          operation: call.operation,
          protectorLatch: protectorPicture.links.find(({ ref }) => sameLink(ref, protector))?.latch ?? null,
          primary,
          primaryPicture,
          standby: standbyRef,
          standbyPicture,
          controlPlane: said,
        };
        return { answer: mayFailOver(question, rules.gate), allSeen: shows(primaryPicture, primary) && shows(standbyPicture, standbyRef) };
      };
      let seen = await see();
      const { pictureMaxAgeMs } = rules;
      const newFor = pictureMaxAgeMs + rules.gate.clockSkewMs;
      const isNew = [group.primary, standby].some(({ linkedAt }) => span(linkedAt, clock.now()) <= newFor);
      if (!seen.answer.open && !seen.allSeen && isNew && call.deadline - clock.elapsed() > 2 * pictureMaxAgeMs) {
        // A picture of a moment ago lacks what has been linked since: the next one has it.
        await clock.pause(millis(pictureMaxAgeMs + 1));
        seen = await see();
      }
      const { answer } = seen;
      return answer.open ? undefined : refuse('VaultUnavailable', `${answer.law}: ${answer.detail}`, comeBack).refusal;
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return storeAway;
    }
  }

  /** As they are ranked; to wrap, those that refused it and have not wrapped since come last. */
  function inOrder<T>({ standbys }: Group, { registered, operation }: KeyCall<T>): readonly Link[] {
    const refuses = (standby: Link): boolean =>
      operation === 'wrapKey' && all.access.known(refOf(registered, standby))?.refused.wrapKey !== undefined;
    return [...standbys.filter((standby) => !refuses(standby)), ...standbys.filter(refuses)];
  }

  /** T33: the denial of a standby latches that standby and ends the search; what says nothing of the key leads to the next one. */
  async function atStandbys<T>(group: Group, call: KeyCall<T>, primary: Attempt): Promise<Operated<T>> {
    const tried: Attempt[] = [primary];
    let refusal = refuse('VaultUnavailable', `F3: vault ${group.primary.vault} is down and the key has no standby`, comeBack).refusal;
    let link = group.primary;
    if (group.standbys.length === 0) refusal = (await saidOfPrimary(group, call)) ?? refusal;
    for (const standby of inOrder(group, call)) {
      const one: Tried<T> = await attempts.at(standby, call, () => gate(group, standby, call));
      if (one.attempt !== null) {
        tried.push(one.attempt);
        link = standby;
      }
      if (one.kind === 'served') {
        all.outages.failedOver(group.primary.vault, standby.vault);
        return { ok: true, value: one.value, link: standby, attempts: tried };
      }
      refusal = refusalAt(one, group.primary.vault, standby.vault);
      if (one.kind === 'refused' && one.attempt !== null && one.leadsOn !== true) break;
    }
    return { ok: false, refusal, link, attempts: tried };
  }

  /** What the caller hears where no other standby serves. That access to the standby is denied says nothing of the key's own vault. */
  function refusalAt(one: Exclude<Tried<unknown>, { kind: 'served' }>, primary: string, standby: string): Refusal {
    if (one.kind === 'outage')
      return refuse('VaultUnavailable', `neither vault ${primary} nor its standby ${standby} answers`, comeBack).refusal;
    const denied = one.attempt !== null && one.refusal.code === 'KeyAccessDenied';
    const detail = `vault ${primary} is down, and its standby: ${one.refusal.detail}`;
    return denied ? refuse('VaultUnavailable', detail, comeBack).refusal : one.refusal;
  }

  return async (group, call) => {
    const primary = await attempts.at(group.primary, call);
    if (primary.kind === 'outage') return atStandbys(group, call, primary.attempt);
    const tried = primary.attempt === null ? [] : [primary.attempt];
    if (primary.kind === 'refused') return { ok: false, refusal: primary.refusal, link: group.primary, attempts: tried };
    return { ok: true, value: primary.value, link: group.primary, attempts: tried };
  };
}

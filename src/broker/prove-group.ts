import { isDenial } from '../domain/fault.ts';
import type { Finding } from '../domain/finding.ts';
import { parseKeyId } from '../domain/key.ts';
import type { KeyId } from '../domain/key.ts';
import { refuse } from '../domain/refusal.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import { millis } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { acceptable, candidateFindings, findingOf, placeFindings, standbyFindings, standbyMissing } from '../policy/key-rules.ts';
import type { Candidate } from '../policy/key-rules.ts';
import type { AttemptParts } from './key-call.ts';
import { seePrimary } from './primary-denials.ts';
import { candidateRef, createProveKey } from './prove-key.ts';
import type { HeldBack, ProvenKey, Settled } from './prove-key.ts';
import { createSettleProof } from './settle-proof.ts';

/** A primary and its standbys that were asked about. */
export interface ProvenGroup {
  readonly findings: readonly Finding[];
  /** What may be stored; undefined if a finding forbids it. Roles and spans are the caller's to set. */
  readonly links: { readonly primary: Link; readonly standbys: readonly Link[] } | undefined;
  /** Where the budget of a vault kept a key from being proven: when it is worth trying again; null if none did. */
  readonly retryAfterMs: Millis | null;
  /**
   * Stores the proofs, which also releases latches that were known before. Done before the links are stored: a kill in between leaves
   * proofs of keys that nobody uses, not links that may never fail over. Rejects with `StoreAway`.
   */
  remember(): Promise<void>;
}

export interface GroupWanted {
  readonly registered: RegisteredServer;
  readonly keyId: KeyId;
  readonly standbyKeyIds: readonly KeyId[];
  readonly use: 'protector' | 'additional';
  /** The standbys are not called before the primary granted access, and not at all where it denies. */
  readonly primaryFirst: boolean;
}

/**
 * K1–K4: proves a whole group and answers every finding at once. Secondary first (K4); but where the primary is linked already and denies
 * access, no call gets round that (F3): then the primary goes first, as where it is asked for.
 */
export type ProveGroup = (wanted: GroupWanted) => Promise<ProvenGroup>;

export function createProveGroup(all: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): ProveGroup {
  const { parts, access } = all;
  const { clock, registry, rules } = parts;
  const { prove, proveParity } = createProveKey(parts);
  const settle = createSettleProof(all);

  /** Rejects with `Unreadable` where the vault is registered, and cannot be read. */
  async function candidateOf(server: string, keyId: KeyId, vaults: readonly Vault[]): Promise<Candidate> {
    const told = parseKeyId(keyId);
    const vault = vaults.find(({ uri }) => uri === told?.vaultUri) ?? (told && (await registry.findVault({ uri: told.vaultUri })));
    return { server, keyId, keyName: told?.name ?? '', vault };
  }

  /** K1: how many standbys, and none that is a primary with standbys of its own. */
  function shapeFindings(
    { registered, keyId, standbyKeyIds }: GroupWanted,
    primary: Candidate,
    standbys: readonly Candidate[],
  ): readonly Finding[] {
    const tooMany = standbyKeyIds.length > rules.maxStandbys;
    const chained = standbys.filter(
      (standby) =>
        standby.keyId === keyId ||
        registered.links.some((link) => link.standbyOf === standby.keyId && link.keyId !== keyId && !standbyKeyIds.includes(link.keyId)),
    );
    return [
      ...(tooMany
        ? [
            findingOf(
              primary,
              'TooManyStandbys',
              `${standbyKeyIds.length} standbys are named, at most ${rules.maxStandbys} are allowed`,
              'Name fewer standbys.',
            ),
          ]
        : []),
      ...chained.map((standby) =>
        findingOf(standby, 'ChainedStandby', 'the key is itself a primary with standbys', 'Name a key that has no standby of its own.'),
      ),
    ];
  }

  return async (wanted) => {
    const { registered, use } = wanted;
    const { server } = registered;
    const identity = server.identityClientId;
    const vaults = await registry.readVaults();
    const primary = await candidateOf(server.name, wanted.keyId, vaults);
    const standbys = await Promise.all(wanted.standbyKeyIds.map((keyId) => candidateOf(server.name, keyId, vaults)));
    const shape = shapeFindings(wanted, primary, standbys);
    const context = { engine: server.engine, serverRegion: server.region, tenant: rules.tenant, now: clock.now() };
    // Read first: an instance that has not heard of a latch could not release it.
    await Promise.all([...new Set(registered.links.map((link) => link.vault))].map((vault) => access.picture(vault)));
    const known = new Map(
      [primary, ...standbys].map((one) => [one.keyId, access.known(candidateRef(one, identity))?.latch?.generation ?? null]),
    );

    const { denies, heldBack, linked } = await seePrimary({ ...parts, access }, registered, primary);
    const settledAt =
      (candidate: Candidate): Settled =>
      (met) =>
        settle(registered, candidate, met);
    const proveOne = (candidate: Candidate): Promise<ProvenKey> => {
      const canary = registered.links.find((link) => link.keyId === candidate.keyId)?.canary;
      const held = candidate === primary ? neverHeldBack : heldBack;
      return prove(candidate, context, { identity, use, canary, heldBack: held, settled: settledAt(candidate) });
    };
    const proveStandbys = (): Promise<readonly ProvenKey[]> => allEnded(standbys.slice(0, rules.maxStandbys).map(proveOne));
    const primaryFirst = wanted.primaryFirst || (await denies());
    // Secondary first (K4): a protector whose standby is not proven is not even tried with the vault's write operation.
    const before = primaryFirst ? [] : await proveStandbys();
    const primaryProof = await proveOne(primary);
    const untouched = primaryFirst && !grants(primaryProof);
    const standbyProofs = primaryFirst && !untouched ? await proveStandbys() : before;
    const parity = await allEnded(
      (deniedHere(primaryProof, linked) ? [] : standbyProofs).map((standby) =>
        proveParity(standby, primaryProof, { identity, heldBack, settled: settledAt(standby.candidate) }),
      ),
    );

    const pairs = standbyProofs.flatMap((standby) =>
      standbyFindings({
        primary: { ...primary, thumbprint: primaryProof.facts?.thumbprint },
        standby: { ...standby.candidate, thumbprint: standby.facts?.thumbprint },
      }),
    );
    const findings = once([
      ...shape,
      ...[primary, ...standbys].flatMap(candidateFindings),
      ...(use === 'protector' ? [...placeFindings(primary, context), ...standbyMissing(primary, standbys.length)] : []),
      ...pairs,
      ...standbyProofs.flatMap((proof) => proof.findings),
      ...primaryProof.findings,
      ...parity.flatMap((one) => one.findings),
    ]);
    const waits = [primaryProof, ...standbyProofs, ...parity].flatMap(({ retryAfterMs }) => retryAfterMs ?? []);
    const links = acceptable(findings) && !untouched ? linksFrom(primaryProof, standbyProofs, clock.now()) : undefined;
    return {
      findings,
      links,
      retryAfterMs: waits.length === 0 ? null : millis(Math.max(...waits)),
      async remember() {
        for (const { candidate, provenAt } of [primaryProof, ...standbyProofs]) {
          if (provenAt === undefined) continue;
          const ref = candidateRef(candidate, identity);
          await access.proven(ref, { sentAt: provenAt, known: known.get(candidate.keyId) ?? null });
          await access.storeProof(ref);
        }
      },
    };
  };
}

/** What the caller hears of findings that forbid. A budget that was used up says nothing of the key: the same request may succeed later. */
export function rejected(server: string, { findings, retryAfterMs }: ProvenGroup): ReturnType<typeof refuse> {
  const errors = findings.filter((finding) => finding.severity === 'error').map((finding) => finding.code);
  if (retryAfterMs !== null && errors.every((code) => code === 'KeyUnreachable'))
    return refuse('Throttled', `the budget of a vault keeps the key of server ${server} from being proven now`, {
      retryable: true,
      retryAfterMs,
      findings,
    });
  return refuse('ProtectorRejected', `the key of server ${server} cannot be used: ${errors.join(', ')}`, { findings });
}

/** Whether the key unwraps, and no other operation was denied (F4). */
function grants({ provenAt, replies }: ProvenKey): boolean {
  return provenAt !== undefined && replies.every(({ reply }) => reply.ok || reply.fault.outsideValidity || !isDenial(reply.fault.class));
}

/**
 * F3, T31: whether the primary denied access while it was proven, so that nothing may get round it at a standby. A denied wrap or GET says so
 * only of a primary that is linked: a new additional key need not wrap.
 */
function deniedHere({ replies }: ProvenKey, linked: boolean): boolean {
  return replies.some(
    ({ step, reply }) => !reply.ok && !reply.fault.outsideValidity && isDenial(reply.fault.class) && (linked || step === 'unwrap'),
  );
}

/** As `Promise.all`, but when it rejects nothing is under way any more: no vault is called for a request that was answered. */
async function allEnded<T>(works: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}

const neverHeldBack: HeldBack = () => Promise.resolve(undefined);

/** The same thing seen in two ways is told once a link. */
function once(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [`${finding.code}|${finding.keyId ?? ''}`, finding])).values()];
}

function linksFrom(primary: ProvenKey, standbys: readonly ProvenKey[], now: Instant): ProvenGroup['links'] {
  const made = [primary, ...standbys].map((proof, rank) => {
    const { facts, candidate } = proof;
    if (facts?.thumbprint === undefined || primary.canary === undefined || candidate.vault === undefined) return undefined;
    const { keyId } = candidate;
    const { keyType, keySize, thumbprint } = facts;
    // A standby keeps the canary that its primary wrapped: unwrapping it proves access and the same material in one call.
    const shared = {
      keyId,
      keyType,
      keySize,
      thumbprint,
      vault: candidate.vault.name,
      canary: primary.canary,
      protectorFrom: null,
      protectorTo: null,
      linkedAt: now,
    };
    return rank === 0
      ? { ...shared, role: 'additional' as const, standbyOf: null, rank: 0 }
      : { ...shared, role: 'standby' as const, standbyOf: primary.candidate.keyId, rank: rank - 1 };
  });
  const [first, ...rest] = made;
  const complete = rest.filter((link) => link !== undefined);
  return first === undefined || complete.length < rest.length ? undefined : { primary: first, standbys: complete };
}

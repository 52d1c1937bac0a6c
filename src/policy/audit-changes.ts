import { nothingSeen } from '../domain/audit.ts';
import type { AuditCounts, AuditFinding } from '../domain/audit.ts';
import type { Finding, FindingCode } from '../domain/finding.ts';
import { wrapsGoTo } from './audit-rules.ts';
import type { LinkSeen, Seen } from './audit-rules.ts';

/* P1: what an audit says beside the one before: what is new, what goes on, what is resolved. */

/** Whether an audit has seen whether a finding of the audit before still stands. */
export type LookedAt = (known: Finding) => boolean;

/**
 * What was seen by looking at these links.
 * @param uncheckedVaults those where nobody could read which permissions the server's identity has.
 */
export function lookedAtBy(seen: readonly LinkSeen[], uncheckedVaults: ReadonlySet<string | null>): LookedAt {
  const links = seen.map(({ link }) => link);
  return ({ code, keyId, vault }) => {
    if (code === 'ExcessPermission') return !uncheckedVaults.has(vault);
    const one = seen.find(({ link }) => link.keyId === keyId);
    return one === undefined || (saw[code]?.(one, wrapsGoTo(links, one.link)) ?? true);
  };
}

type Saw = (seen: LinkSeen, wrapDue: boolean) => boolean;

const sawFacts: Saw = ({ get }) => get.kind === 'ok';
const sawUse: Saw = ({ get, unwrap }) => get.kind === 'ok' || unwrap.kind === 'ok';
const sawTime: Saw = ({ get, wrap }) => get.kind === 'ok' || wrap.kind === 'ok';
const sawUnwrap: Saw = ({ unwrap }) => answered(unwrap);

/** Whether what came of the calls at a link would have told, had the finding still stood. What is not here is known without any call. */
const saw: Readonly<Partial<Record<FindingCode, Saw>>> = {
  KeyUnreachable: ({ get, wrap, unwrap }) => [get, wrap, unwrap].some(alive),
  GetDenied: ({ get }) => answered(get),
  WrapDenied: ({ wrap }, wrapDue) => answered(wrap) || !wrapDue,
  UnwrapDenied: sawUnwrap,
  FormerKeyUnusable: sawUnwrap,
  KeyNotFound: sawUse,
  KeyDisabled: sawUse,
  WrongTenant: sawUse,
  KeyExpired: sawTime,
  KeyNotYetActive: sawTime,
  KeyOperationsMissing: ({ get, wrap, unwrap }, wrapDue) => get.kind === 'ok' || ((wrap.kind === 'ok' || !wrapDue) && unwrap.kind === 'ok'),
  MaterialMismatch: ({ get, unwrap }) => get.kind === 'ok' && unwrap.kind === 'ok',
  KeyExpiresSoon: sawFacts,
  KeyTypeUnsupported: sawFacts,
  KeySizeUnsupported: sawFacts,
  SoftDeleteOff: sawFacts,
  PurgeProtectionOff: sawFacts,
  VaultNotRegistered: sawFacts,
};

/** The vault has said of this very operation whether it may be. */
function answered(call: Seen<unknown>): boolean {
  return call.kind === 'ok' || (call.kind === 'fault' && ['revoked', 'keyGone', 'invalidRequest'].includes(call.fault.class));
}

/** The vault answers, be it with a 429. */
function alive(call: Seen<unknown>): boolean {
  return answered(call) || (call.kind === 'fault' && call.fault.class === 'throttled');
}

/** Where everything is seen at every look. */
const everything: LookedAt = () => true;

/**
 * The findings beside those of the audit before. What tells them apart is code, key, vault and severity, and for an expiry how near it is;
 * a detail may read differently each time. What was not looked at this time goes on: nobody knows that it is resolved.
 */
export function compareFindings(
  before: readonly AuditFinding[],
  now: readonly Finding[],
  lookedAt: LookedAt = everything,
): readonly AuditFinding[] {
  const known = new Set(before.map(identityOf));
  const present = new Set(now.map(identityOf));
  return [
    ...now.map((finding): AuditFinding => ({ ...finding, change: known.has(identityOf(finding)) ? 'continued' : 'new' })),
    ...before
      .filter((finding) => !present.has(identityOf(finding)))
      .map((finding): AuditFinding => ({ ...finding, change: lookedAt(finding) ? 'resolved' : 'continued' })),
  ];
}

/** Names what a finding tells of, the same in every audit. */
export function identityOf({ code, keyId, vault, severity, detail }: Finding): string {
  return [code, keyId ?? '', vault ?? '', severity, code === 'KeyExpiresSoon' ? detail : ''].join('|');
}

/** What these findings count for in the report. */
export function countsOf(findings: readonly AuditFinding[]): AuditCounts {
  const counted = (of: (finding: AuditFinding) => boolean): number => findings.filter(of).length;
  return {
    ...nothingSeen,
    errors: counted(({ change, severity }) => change !== 'resolved' && severity === 'error'),
    warnings: counted(({ change, severity }) => change !== 'resolved' && severity === 'warning'),
    appeared: counted(({ change }) => change === 'new'),
    resolved: counted(({ change }) => change === 'resolved'),
  };
}

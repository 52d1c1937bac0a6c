import { describe, expect, it } from 'vitest';
import type { AuditFinding } from '../../src/domain/audit.ts';
import type { Finding, FindingCode } from '../../src/domain/finding.ts';
import { compareFindings, countsOf, lookedAtBy } from '../../src/policy/audit-changes.ts';
import type { LinkSeen, Seen } from '../../src/policy/audit-rules.ts';
import { aCandidate, aFault, noon, someFacts } from '../support/builders.ts';
import { aLink, keyId } from '../support/stored-values.ts';

describe('beside the audit before (P1)', () => {
  const finding: Finding = {
    code: 'KeyDisabled',
    severity: 'error',
    server: 'sql-a',
    keyId: keyId(),
    vault: 'kv-west',
    detail: 'first',
    action: 'Enable it.',
  };
  const before: AuditFinding = { ...finding, change: 'new' };

  it.each<[string, readonly AuditFinding[], readonly Finding[], readonly AuditFinding['change'][]]>([
    ['seen first', [], [finding], ['new']],
    ['seen again, in other words', [before], [{ ...finding, detail: 'second' }], ['continued']],
    ['seen no more', [before], [], ['resolved']],
    ['at another key', [before], [{ ...finding, keyId: keyId('kv-north') }], ['new', 'resolved']],
    ['another severity', [before], [{ ...finding, severity: 'warning' }], ['new', 'resolved']],
    ['an expiry as near as before', [{ ...before, code: 'KeyExpiresSoon' }], [{ ...finding, code: 'KeyExpiresSoon' }], ['continued']],
    [
      'an expiry that came nearer',
      [{ ...before, code: 'KeyExpiresSoon' }],
      [{ ...finding, code: 'KeyExpiresSoon', detail: 'nearer' }],
      ['new', 'resolved'],
    ],
  ])('%s', (_what, known, now, changes) => {
    expect(compareFindings(known, now).map(({ change }) => change)).toEqual(changes);
  });

  it('what was not looked at this time goes on: it is neither new nor resolved', () => {
    expect(compareFindings([before], [], () => false)).toEqual([{ ...before, change: 'continued' }]);
    expect(compareFindings([before], [finding], () => false)).toEqual([{ ...finding, change: 'continued' }]);
  });

  it('what is resolved counts as nothing else', () => {
    const all = [
      before,
      { ...before, severity: 'warning', change: 'continued' },
      { ...before, severity: 'info' },
      { ...before, change: 'resolved' },
    ] as const;
    expect(countsOf(all)).toMatchObject({ errors: 1, warnings: 1, appeared: 2, resolved: 1, servers: 0 });
  });
});

describe('what an audit has looked at (P1)', () => {
  const ok = { kind: 'ok', value: true } as const;
  const facts = { kind: 'ok', value: someFacts() } as const;
  const leftOut = { kind: 'leftOut' } as const;
  const down = { kind: 'fault', fault: aFault() } as const;
  const throttled = { kind: 'fault', fault: aFault({ class: 'throttled', status: 429 }) } as const;
  const denied = { kind: 'fault', fault: aFault({ class: 'revoked', status: 403, reach: 'identity' }) } as const;
  const gone = { kind: 'fault', fault: aFault({ class: 'vaultGone', status: null, reach: 'vault' }) } as const;

  const everyCall = { get: facts, wrap: ok, unwrap: ok };
  const noCall: Pick<LinkSeen, 'get' | 'wrap' | 'unwrap'> = { get: leftOut, wrap: leftOut, unwrap: leftOut };
  function all(call: Seen<never>): typeof noCall {
    return { get: call, wrap: call, unwrap: call };
  }

  function looked(code: FindingCode, calls: Partial<typeof noCall>, changes: Partial<LinkSeen> = {}): boolean {
    const seen: LinkSeen = {
      link: aLink(),
      candidate: aCandidate(),
      provenAt: noon,
      primaryDenied: false,
      ...everyCall,
      ...calls,
      ...changes,
    };
    const known: Finding = { code, severity: 'error', server: 'sql-demo', keyId: keyId(), vault: 'kv-west', detail: '', action: '' };
    return lookedAtBy([seen], new Set())(known);
  }

  const ofCalls: readonly FindingCode[] = [
    'KeyUnreachable',
    'GetDenied',
    'WrapDenied',
    'UnwrapDenied',
    'KeyNotFound',
    'KeyDisabled',
    'KeyNotYetActive',
    'KeyExpired',
    'KeyExpiresSoon',
    'KeyTypeUnsupported',
    'KeySizeUnsupported',
    'KeyOperationsMissing',
    'SoftDeleteOff',
    'PurgeProtectionOff',
    'WrongTenant',
    'MaterialMismatch',
    'VaultNotRegistered',
    'FormerKeyUnusable',
  ];

  it.each(ofCalls)('%s: with every call answered yes; with none made, none answered, or the vault gone no', (code) => {
    expect(looked(code, everyCall)).toBe(true);
    for (const calls of [noCall, all({ kind: 'circuitOpen' }), all(down), all(gone)]) expect(looked(code, calls)).toBe(false);
  });

  it.each(['NoStandby', 'SameVault', 'SameRegion', 'OtherGeography', 'ProtectorRemote', 'ProofStale', 'NameTooLong'] as const)(
    '%s is known without any call',
    (code) => {
      expect(looked(code, noCall)).toBe(true);
    },
  );

  it.each<[FindingCode, Partial<typeof noCall>, boolean]>([
    ['KeyExpiresSoon', { get: down }, false],
    ['KeyExpiresSoon', { get: denied }, false],
    ['KeyExpiresSoon', { wrap: down, unwrap: down }, true],
    ['GetDenied', { get: denied }, true],
    ['GetDenied', { get: throttled }, false],
    ['WrapDenied', { wrap: leftOut }, false],
    ['WrapDenied', { wrap: throttled }, false],
    ['UnwrapDenied', { unwrap: leftOut }, false],
    ['UnwrapDenied', { unwrap: down }, false],
    ['UnwrapDenied', { get: down, wrap: down }, true],
    ['FormerKeyUnusable', { unwrap: down }, false],
    ['KeyUnreachable', { get: throttled, wrap: down, unwrap: down }, true],
    ['KeyUnreachable', all(denied), true],
    ['KeyNotFound', { get: denied }, true],
    ['KeyNotFound', all(denied), false],
    ['KeyExpired', { get: denied }, true],
    ['KeyExpired', { get: denied, wrap: leftOut }, false],
    ['KeyOperationsMissing', { get: denied }, true],
    ['KeyOperationsMissing', { get: denied, wrap: down }, false],
    ['MaterialMismatch', { unwrap: down }, false],
    ['MaterialMismatch', { get: denied }, false],
  ])('%s, where %j: %s', (code, calls, expected) => {
    expect(looked(code, calls)).toBe(expected);
  });

  it('at a link that wraps do not go to any more, a denied wrap is nothing any more', () => {
    expect(looked('WrapDenied', { wrap: leftOut }, { link: aLink({ role: 'additional' }) })).toBe(true);
  });

  it('what concerns a key that is not linked any more is resolved', () => {
    const known = { code: 'UnwrapDenied', severity: 'error', server: 'sql-demo', vault: 'kv-west', detail: '', action: '' } as const;
    expect(lookedAtBy([], new Set())({ ...known, keyId: keyId() })).toBe(true);
  });

  it.each([
    ['kv-west', false],
    ['kv-north', true],
  ])('permissions were looked at where somebody could read them: %s %s', (vault, expected) => {
    const known = { code: 'ExcessPermission', severity: 'warning', server: 'sql-demo', keyId: null, detail: '', action: '' } as const;
    expect(lookedAtBy([], new Set(['kv-west']))({ ...known, vault })).toBe(expected);
  });
});

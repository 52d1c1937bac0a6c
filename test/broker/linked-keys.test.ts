import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { LinkAccess } from '../../src/domain/access.ts';
import type { Fault } from '../../src/domain/fault.ts';
import type { KeyId } from '../../src/domain/key.ts';
import type { RegisteredServer, ServerState } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import { unwrapDenied } from '../../src/policy/denial.ts';
import { aDenial, aFault, aLatch, anUntried, aRegisteredWith, at, denialRules, hour, minute, noon } from '../support/builders.ts';
import { north, startKeyRoads, west } from '../support/key-roads-rig.ts';
import type { Call, KeyRoadsRig } from '../support/key-roads-rig.ts';
import { aLink, aRef, keyId, thumbprint } from '../support/stored-values.ts';

const value = new Uint8Array(32).fill(7);
const canary = {
  wrapped: Buffer.from(value).toString('base64url'),
  sha256: createHash('sha256').update(value).digest('base64url'),
  algorithm: 'RSA-OAEP-256',
} as const;
const protector = aLink({ keyId: west, canary });
const standby = aLink({ keyId: north, vault: 'kv-north', role: 'standby', standbyOf: west, canary });

const revoked = aFault({ class: 'revoked', status: 403, code: 'ForbiddenByPolicy', reach: 'identity', detail: 'denied' });

function withLinks(state: ServerState = 'online', links = [protector, standby]): RegisteredServer {
  const clock =
    state === 'inaccessible' || state === 'needsRevalidation'
      ? { firstDenialAt: noon, inaccessibleAt: at(10 * minute), healsUntil: at(8 * hour) }
      : null;
  return { ...aRegisteredWith({ state, clock }), links };
}

/** Faults of these calls; all others are granted. */
function only(faults: Partial<Record<Call, Fault>>): (call: Call) => Fault | undefined {
  return (call) => faults[call];
}

async function stored(rig: KeyRoadsRig, ...rows: readonly LinkAccess[]): Promise<void> {
  for (const row of rows) await rig.accessLog.changeLink(row.ref, () => ({ next: row, events: [] }));
}

async function rigWith(registered: RegisteredServer, ...rows: readonly LinkAccess[]): Promise<KeyRoadsRig> {
  const rig = await startKeyRoads();
  await rig.register(registered);
  await stored(rig, ...rows);
  return rig;
}

/** Sets the same protector with its standby again, as a change of standbys does: it is proven anew. */
const putAgain = (rig: KeyRoadsRig) => rig.roads.putProtector({ server: 'sql-demo', keyId: west, standbyKeyIds: [north] }, rig.operator);

/** The same server with its standby taken off, so that putting it again is a change. */
const alone = withLinks('online', [protector]);

describe('K4, F4: what is met at a key that is linked already counts', () => {
  test('a denied wrap: wrap may not fail over until it succeeds there, and unwrap is tried at once', async () => {
    const rig = await rigWith(alone);
    rig.answer = only({ 'kv-west wrap': revoked });
    expect(await putAgain(rig)).toMatchObject({ ok: false, refusal: { code: 'ProtectorRejected' } });
    expect(rig.calls.filter((call) => call.startsWith('kv-west'))).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap']);
    expect(await rig.row()).toMatchObject({ latch: null, denials: { identity: noon }, refused: { wrapKey: { finding: 'WrapDenied' } } });
  });

  test("a denied GET and wrap: the link's own canary tells that unwrap is denied too", async () => {
    const rig = await rigWith(alone);
    rig.answer = only({ 'kv-west get': revoked, 'kv-west wrap': revoked, 'kv-west unwrap': revoked });
    const answer = await putAgain(rig);
    expect(answer).toMatchObject({ ok: false, refusal: { code: 'ProtectorRejected' } });
    expect(rig.calls.filter((call) => call.startsWith('kv-west'))).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap']);
    expect(await rig.row()).toMatchObject({
      latch: { status: 'suspected' },
      refused: { get: { finding: 'GetDenied' }, wrapKey: { finding: 'WrapDenied' } },
    });
  });

  test('a denial in the parity unwrap latches the standby', async () => {
    const rig = await rigWith(withLinks('online', [{ ...standby, role: 'additional', standbyOf: null }]));
    let unwraps = 0;
    // Its own canary unwraps; then access is taken away.
    rig.answer = (call) => (call === 'kv-north unwrap' && (unwraps += 1) === 2 ? revoked : undefined);
    expect(await putAgain(rig)).toMatchObject({ ok: false });
    expect((await rig.row(north))?.latch).toMatchObject({ status: 'suspected', class: 'revoked' });
  });

  test('a 429 slows the budget down (F7), a doubt voids the proof (F1), an outage begins one (F3)', async () => {
    const throttle = await rigWith(alone);
    throttle.answer = only({ 'kv-west unwrap': aFault({ class: 'throttled', status: 429 }) });
    await putAgain(throttle);
    expect(throttle.throttled).toEqual(['kv-west']);

    const doubt = await rigWith(alone);
    doubt.answer = only({ 'kv-west wrap': aFault({ class: 'ambiguous', status: 404, mayHideDenial: true }) });
    await putAgain(doubt);
    expect((await doubt.row())?.doubtedAt).toBe(noon);

    const outage = await rigWith(alone);
    outage.answer = only({ 'kv-west get': aFault() });
    await putAgain(outage);
    expect((await outage.accessLog.read('kv-west')).health.outageSince).toBe(noon);
  });

  test('F7: a 429 at a key that nobody has linked slows the budget down too', async () => {
    const rig = await rigWith(withLinks('online', []));
    rig.answer = only({ 'kv-west unwrap': aFault({ class: 'throttled', status: 429 }) });
    await putAgain(rig);
    expect(rig.throttled).toEqual(['kv-west']);
  });

  test('F4: a network refusal at a key that is not linked reaches all that is linked in that vault', async () => {
    const refused = aFault({ class: 'revoked', status: 403, code: 'ForbiddenByFirewall', reach: 'vault' });
    const own = { ...withLinks('online', []), server: { ...alone.server, name: 'sql-new' } };
    const rig = await rigWith(alone, anUntried(aRef({ keyId: west }), { provenAt: noon }));
    await rig.register(own);
    rig.answer = only({ 'kv-west get': refused });
    const other = keyId('kv-west', 'f'.repeat(32));
    await rig.roads.putProtector({ server: 'sql-new', keyId: other, standbyKeyIds: [] }, rig.operator);
    expect(await rig.row(other)).toMatchObject({ denials: { vault: noon }, latch: null });
  });

  test.each([
    { what: 'a disabled key', fault: aFault({ class: 'keyGone', status: 403, code: 'KeyDisabled', reach: 'key' }), stored: { key: noon } },
    { what: 'a denied identity', fault: revoked, stored: { identity: noon } },
  ])('F4: $what at a key that only another server has linked reaches that server', async ({ fault, stored: denials }) => {
    const rig = await rigWith(alone, anUntried(aRef({ keyId: west }), { provenAt: noon }));
    await rig.register({ ...withLinks('online', []), server: { ...alone.server, name: 'sql-new' } });
    rig.answer = only({ 'kv-west unwrap': fault });
    await rig.roads.putProtector({ server: 'sql-new', keyId: west, standbyKeyIds: [] }, rig.operator);
    const rows = (await rig.accessLog.read('kv-west')).links;
    expect(rows.find(({ ref }) => ref.server === 'sql-new')).toMatchObject({ denials, latch: null });
  });

  test('F4: every denial that reaches others is stored, not only the first; C2: what is outside its time is none', async () => {
    const rig = await rigWith(alone, anUntried(aRef({ keyId: west }), { provenAt: noon }));
    await rig.register({ ...withLinks('online', []), server: { ...alone.server, name: 'sql-new' } });
    const outside = aFault({ class: 'revoked', status: 403, reach: 'key', outsideValidity: true });
    const refused = aFault({ class: 'revoked', status: 403, code: 'ForbiddenByFirewall', reach: 'vault' });
    rig.answer = only({ 'kv-west get': revoked, 'kv-west wrap': outside });
    const put = () => rig.roads.putProtector({ server: 'sql-new', keyId: west, standbyKeyIds: [] }, rig.operator);
    const denials = async () => (await rig.accessLog.read('kv-west')).links.find(({ ref }) => ref.server === 'sql-new')?.denials;
    await put();
    expect(await denials()).toEqual({ identity: noon });
    rig.answer = only({ 'kv-west get': refused, 'kv-west wrap': aFault({ ...refused, reach: 'key' }) });
    await put();
    expect(await denials()).toEqual({ identity: noon, vault: noon, key: noon });
  });

  test('F4: where the store went away meanwhile, a denial at a key that is not linked is kept: it may reach others', async () => {
    const rig = await rigWith(withLinks('online', []), anUntried(aRef({ server: 'sql-other' }), { provenAt: noon }));
    rig.answer = (call) => {
      rig.store.away = true;
      return call === 'kv-west unwrap' ? aFault({ class: 'revoked', status: 403, code: 'ForbiddenByFirewall', reach: 'vault' }) : undefined;
    };
    const other = keyId('kv-west', 'f'.repeat(32));
    const put = rig.roads.putProtector({ server: 'sql-demo', keyId: other, standbyKeyIds: [] }, rig.operator);
    expect(await put).toMatchObject({ ok: false, refusal: { code: 'StateUnavailable' } });
    rig.store.away = false;
    await rig.clock.advance(2000);
    expect(await rig.row(other)).toMatchObject({ denials: { vault: noon } });
  });

  test('nothing is stored of a key that nobody has linked', async () => {
    const rig = await rigWith(withLinks('online', []));
    rig.answer = only({ 'kv-west wrap': revoked });
    await putAgain(rig);
    expect(await rig.row()).toBeUndefined();
  });

  test('F4: is stored before the next call is made: nobody uses a standby while the proof goes on', async () => {
    const rig = await rigWith(alone);
    const seen: [string, Promise<LinkAccess | undefined>][] = [];
    rig.answer = (call) => {
      if (call.startsWith('kv-west')) seen.push([call, rig.row()]);
      return call === 'kv-west get' || call === 'kv-west wrap' ? revoked : undefined;
    };
    await putAgain(rig);
    const denials = await Promise.all(seen.map(async ([call, row]) => [call, (await row)?.denials]));
    expect(denials).toEqual([
      ['kv-west get', undefined],
      ['kv-west wrap', { identity: noon }],
      ['kv-west unwrap', { identity: noon }],
    ]);
  });

  test('where the store is away for one key, no vault is called any more once the request is answered', async () => {
    const rig = await rigWith(withLinks('online', [protector, standby]));
    let gets = 0;
    rig.answer = async (call) => {
      if (call !== 'kv-north get') return undefined;
      if ((gets += 1) === 2) {
        await rig.clock.pause(millis(500));
        return undefined;
      }
      rig.store.away = true;
      return revoked;
    };
    const standbyKeyIds = [north, keyId('kv-north', 'c'.repeat(32))];
    const put = rig.roads.putProtector({ server: 'sql-demo', keyId: west, standbyKeyIds }, rig.operator);
    void put.then(({ ok }) => rig.calls.push(`answered ${ok}` as Call));
    await rig.clock.advance(5000);
    expect(gets).toBe(2);
    expect(rig.calls.at(-1)).toBe('answered false');
  });

  test('with the store away in the middle, each denial that was met is kept and stored later', async () => {
    const rig = await rigWith(alone);
    rig.answer = (call) => {
      if (call === 'kv-west wrap') rig.store.away = true;
      return call === 'kv-west wrap' ? revoked : undefined;
    };
    expect(await putAgain(rig)).toMatchObject({ ok: false, refusal: { code: 'StateUnavailable' } });
    rig.store.away = false;
    await rig.clock.advance(2000);
    expect(await rig.row()).toMatchObject({ denials: { identity: noon }, refused: { wrapKey: { finding: 'WrapDenied' } } });
  });
});

describe('K5: keys that were linked before key ids were lower-cased', () => {
  const mixed = (keyId: KeyId) => keyId.replace('/tde/', '/TDE/') as KeyId;
  const links = [
    { ...protector, keyId: mixed(west) },
    { ...standby, keyId: mixed(north), standbyOf: mixed(west) },
  ];
  const linked = async (rig: KeyRoadsRig) => (await rig.server())?.links.map(({ keyId: id, role }) => [id, role]);

  test('put again, the protector is the one that it was: nothing is stored', async () => {
    const rig = await rigWith(withLinks('online', links));
    expect(await putAgain(rig)).toMatchObject({ ok: true, value: { created: false } });
    expect((await rig.server())?.links).toEqual(links);
    expect(rig.calls).toEqual([]);
  });

  test('put with a standby more, it is linked once, and so is the standby that was an additional key', async () => {
    const additional = { ...links[1]!, role: 'additional', standbyOf: null } as const;
    const rig = await rigWith(withLinks('online', [links[0]!, additional]));
    expect(await putAgain(rig)).toMatchObject({ ok: true });
    expect(await linked(rig)).toEqual([
      [mixed(west), 'protector'],
      [mixed(north), 'standby'],
    ]);
  });

  test('an additional key that is linked is linked already', async () => {
    const additional = { ...links[0]!, role: 'additional' } as const;
    const rig = await rigWith(withLinks('online', [additional]));
    const wish = { server: 'sql-demo', keyId: west, standbyKeyIds: [], from: undefined, to: undefined };
    expect(await rig.roads.linkKey(wish, rig.operator)).toMatchObject({ ok: true, value: { created: false } });
    expect(await linked(rig)).toEqual([[mixed(west), 'additional']]);
  });
});

describe('K4: how a key is proven', () => {
  test('secondary first, where the key is not linked yet', async () => {
    const rig = await rigWith(withLinks('online', []));
    expect(await putAgain(rig)).toMatchObject({ ok: true });
    expect(rig.calls).toEqual([
      ...(['kv-north get', 'kv-north wrap', 'kv-north unwrap'] as const),
      ...(['kv-west get', 'kv-west wrap', 'kv-west unwrap', 'kv-north unwrap'] as const),
    ]);
  });

  test('an additional key that may not wrap is proven by a canary that is laid here', async () => {
    const rig = await rigWith(withLinks('online', [{ ...standby, role: 'protector', standbyOf: null, thumbprint: thumbprint('B') }]));
    rig.answer = only({ 'kv-west wrap': aFault({ class: 'keyGone', status: 403, code: 'KeyOperationForbidden', reach: 'key' }) });
    const wish = { server: 'sql-demo', keyId: west, standbyKeyIds: [], from: undefined, to: undefined };
    expect(await rig.roads.linkKey(wish, rig.operator)).toMatchObject({ ok: true });
    expect(rig.calls).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap']);
    expect((await rig.row())?.provenAt).toBe(noon);
  });

  test('F5: an instance that has seen nothing reads first, so that the proof releases a latch of another', async () => {
    const latched = anUntried(aRef(), { latch: aLatch(), denials: { identity: noon }, revision: 3 });
    const rig = await rigWith(withLinks('needsRevalidation'), latched);
    await rig.clock.advance(minute);
    expect(await rig.roads.revalidate('sql-demo', rig.operator)).toMatchObject({ ok: true, value: { state: 'online' } });
    expect((await rig.row())?.latch).toBeNull();
  });
});

describe('F3, F4: no call gets round a primary that denies', () => {
  const latched = anUntried(aRef(), { latch: aLatch({ status: 'confirmed' }), denials: { identity: noon }, revision: 3 });
  const denying = only({ 'kv-west get': revoked, 'kv-west wrap': revoked, 'kv-west unwrap': revoked });

  test.each(['inaccessible', 'needsRevalidation'] as const)('A3: revalidate from %s leaves the second vault alone', async (state) => {
    const rig = await rigWith(withLinks(state), latched);
    rig.answer = denying;
    const before = await rig.server();
    const answer = await rig.roads.revalidate('sql-demo', rig.operator);
    expect(answer).toMatchObject({ ok: false, refusal: { code: 'ProtectorRejected' } });
    const findings = answer.ok ? [] : (answer.refusal.findings ?? []);
    expect(findings.filter((finding) => finding.keyId === west).map(({ code }) => code)).toEqual([
      'GetDenied',
      'WrapDenied',
      'UnwrapDenied',
    ]);
    expect(rig.calls).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap']);
    expect(await rig.server()).toEqual(before);
    expect((await rig.row())?.latch).toMatchObject({ status: 'confirmed', witnesses: 2 });
  });

  test('A3: revalidate calls no standby either where access was taken away unseen', async () => {
    const rig = await rigWith(withLinks('needsRevalidation'));
    rig.answer = denying;
    expect(await rig.roads.revalidate('sql-demo', rig.operator)).toMatchObject({ ok: false });
    expect(rig.calls.filter((call) => call.startsWith('kv-north'))).toEqual([]);
  });

  test('K4: a protector that is linked and latched is proven before its standby, and alone where it denies', async () => {
    const rig = await rigWith(alone, latched);
    rig.answer = denying;
    expect(await putAgain(rig)).toMatchObject({ ok: false, refusal: { code: 'ProtectorRejected' } });
    expect(rig.calls).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap']);
  });

  test('K4: where it grants access again, its standby is proven after it', async () => {
    const rig = await rigWith(alone, latched);
    expect(await putAgain(rig)).toMatchObject({ ok: true });
    expect(rig.calls.slice(0, 4)).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap', 'kv-north get']);
    expect((await rig.server())?.links.map((link) => link.keyId)).toEqual([west, north]);
  });

  const disabled = aFault({ class: 'keyGone', status: 403, code: 'KeyDisabled', reach: 'key' });

  test('T31: a linked protector that wraps but denies its unwrap: nothing of it is unwrapped at its standby', async () => {
    const rig = await rigWith(alone);
    rig.answer = only({ 'kv-west unwrap': disabled });
    expect(await putAgain(rig)).toMatchObject({ ok: false, refusal: { code: 'ProtectorRejected' } });
    // The standby is proven before it (K4), by its own canary; what the primary wrapped is not unwrapped there.
    expect(rig.calls).toEqual([
      ...(['kv-north get', 'kv-north wrap', 'kv-north unwrap'] as const),
      ...(['kv-west get', 'kv-west wrap', 'kv-west unwrap'] as const),
    ]);
    expect((await rig.row())?.latch).not.toBeNull();
  });

  test('F4: nor where a linked protector denies wrap alone; nor where one that is not linked denies its unwrap', async () => {
    const linked = await rigWith(alone);
    linked.answer = only({ 'kv-west wrap': revoked });
    await putAgain(linked);
    const strange = await rigWith(withLinks('online', []));
    strange.answer = only({ 'kv-west unwrap': disabled });
    await putAgain(strange);
    for (const { calls } of [linked, strange]) expect(calls.filter((call) => call === 'kv-north unwrap')).toHaveLength(1);
  });

  test('K1: the standby of an additional key that may not wrap is still checked for the same material', async () => {
    const protectorB = aLink({ keyId: keyId('kv-west', 'e'.repeat(32)), thumbprint: thumbprint('B') });
    const rig = await rigWith(withLinks('online', [protectorB]));
    rig.answer = only({ 'kv-west wrap': aFault({ class: 'keyGone', status: 403, code: 'KeyOperationForbidden', reach: 'key' }) });
    const wish = { server: 'sql-demo', keyId: west, standbyKeyIds: [north], from: undefined, to: undefined };
    await rig.roads.linkKey(wish, rig.operator);
    expect(rig.calls.filter((call) => call === 'kv-north unwrap')).toHaveLength(2);
  });

  test.each<[string, (before: RegisteredServer) => RegisteredServer]>([
    ['it was deleted and registered anew', (before) => ({ ...before, incarnation: 'another' })],
    ['its identity was changed', (before) => ({ ...before, server: { ...before.server, identityClientId: 'client-9' } })],
    ['its protector was changed', (before) => ({ ...before, links: [aLink({ keyId: keyId('kv-west', 'e'.repeat(32)) })] })],
  ])('A3: revalidate makes no server online that it did not prove: %s meanwhile', async (_what, changed) => {
    const rig = await rigWith(withLinks('needsRevalidation'));
    rig.answer = async (call) => {
      if (call === 'kv-west unwrap') await rig.another().register(changed(withLinks('needsRevalidation')));
      return undefined;
    };
    const answer = await rig.roads.revalidate('sql-demo', rig.operator);
    expect(answer).toMatchObject({ ok: false, refusal: { code: 'Conflict', retryable: true } });
    expect((await rig.server())?.server.state).toBe('needsRevalidation');
  });

  test('A3: a denial that another instance stores while revalidate looks is kept, and the state stays', async () => {
    const rig = await rigWith(withLinks('needsRevalidation'), latched);
    rig.answer = async (call) => {
      if (call === 'kv-north unwrap')
        await rig.accessLog.changeLink(aRef(), (row) => unwrapDenied(row, aRef(), aDenial({ id: 'denial-9' }), denialRules));
      return undefined;
    };
    expect(await rig.roads.revalidate('sql-demo', rig.operator)).toMatchObject({ ok: false, refusal: { code: 'StateUnavailable' } });
    expect((await rig.row())?.latch?.generation).toMatch(/^denial-9~/);
    expect((await rig.server())?.server.state).toBe('needsRevalidation');
  });
});

describe('F3, K4: a denial that another instance stores while a group is being proven holds its standbys back', () => {
  const deniedElsewhere = (rig: KeyRoadsRig) =>
    rig.accessLog.changeLink(aRef(), (row) => unwrapDenied(row, aRef(), aDenial({ id: 'denial-9' }), denialRules));

  /** At the answer to `last` another instance has stored a denial of the primary, longer ago than a picture may be old. */
  function deniedBehind(rig: KeyRoadsRig, last: Call, deny: () => Promise<unknown> = () => deniedElsewhere(rig)): void {
    rig.answer = async (call) => {
      if (call === last) {
        await deny();
        await rig.clock.advance(1001);
      }
      return undefined;
    };
  }

  const refused = {
    ok: false,
    refusal: { code: 'ProtectorRejected', findings: [{ code: 'UnwrapDenied', severity: 'error', keyId: west }] },
  };

  test('revalidate: no standby is called once the primary is latched anew', async () => {
    const rig = await rigWith(withLinks('needsRevalidation'));
    deniedBehind(rig, 'kv-west unwrap');
    expect(await rig.roads.revalidate('sql-demo', rig.operator)).toMatchObject(refused);
    expect(rig.calls).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap']);
    expect((await rig.server())?.server.state).toBe('needsRevalidation');
    expect((await rig.row())?.latch?.generation).toMatch(/^denial-9~/);
  });

  test('nor where a latch that was known stands no longer alone: only what was known may be released', async () => {
    const known = anUntried(aRef(), { latch: aLatch({ status: 'confirmed' }), denials: { identity: noon }, revision: 3 });
    const rig = await rigWith(withLinks('needsRevalidation'), known);
    deniedBehind(rig, 'kv-west unwrap');
    expect(await rig.roads.revalidate('sql-demo', rig.operator)).toMatchObject(refused);
    expect(rig.calls).toEqual(['kv-west get', 'kv-west wrap', 'kv-west unwrap']);
  });

  test('nor after a denial that only reaches the primary: met by another server, by the same identity', async () => {
    const rig = await rigWith(withLinks('needsRevalidation'));
    const neighbour = aRef({ server: 'sql-two', keyId: keyId('kv-west', 'd'.repeat(32)) });
    const row = anUntried(neighbour, { denials: { identity: at(500) } });
    deniedBehind(rig, 'kv-west unwrap', () => stored(rig, row));
    expect(await rig.roads.revalidate('sql-demo', rig.operator)).toMatchObject(refused);
    expect(rig.calls.filter((call) => call.startsWith('kv-north'))).toEqual([]);
  });

  test('a protector put again: what it wrapped is not unwrapped at its standby', async () => {
    const rig = await rigWith(alone);
    deniedBehind(rig, 'kv-west unwrap');
    expect(await putAgain(rig)).toMatchObject({ ok: false, refusal: { code: 'ProtectorRejected' } });
    expect(rig.calls.filter((call) => call === 'kv-north unwrap')).toHaveLength(1);
    expect((await rig.server())?.links.map((link) => link.keyId)).toEqual([west]);
  });

  test('in the midst of the proof of a standby its next step is not tried', async () => {
    const rig = await rigWith(alone);
    deniedBehind(rig, 'kv-north get');
    expect(await putAgain(rig)).toMatchObject({ ok: false, refusal: { code: 'ProtectorRejected' } });
    expect(rig.calls.filter((call) => call.startsWith('kv-north'))).toEqual(['kv-north get']);
  });

  test('F4: with the store away nobody can tell, so nothing more is called; what the standby denied before is kept', async () => {
    const rig = await rigWith(withLinks('needsRevalidation'));
    rig.answer = async (call) => {
      if (call !== 'kv-north get') return undefined;
      rig.store.away = true;
      await rig.clock.advance(1001);
      return revoked;
    };
    expect(await rig.roads.revalidate('sql-demo', rig.operator)).toMatchObject({ ok: false, refusal: { code: 'StateUnavailable' } });
    expect(rig.calls.at(-1)).toBe('kv-north get');
    rig.store.away = false;
    await rig.clock.advance(2000);
    expect(await rig.row(north)).toMatchObject({ refused: { get: { finding: 'GetDenied' } } });
  });
});

describe('F4: a link that is taken out and comes back keeps its new latch', () => {
  const latched = anUntried(aRef(), { latch: aLatch(), revision: 5 });
  const gone = anUntried(aRef(), { provenAt: noon, revision: 2 });

  /** Lets `meanwhile` happen when what is stored of the link is looked at, after the link was taken out. */
  function meanwhile(rig: KeyRoadsRig, work: () => Promise<void>): void {
    let armed = true;
    rig.store.before = async (access, key) => {
      if (!armed || access !== 'read' || !key.startsWith('access/kv-west/link/')) return;
      armed = false;
      await work();
    };
  }

  test('a server that is registered and linked again before the late removal', async () => {
    const rig = await rigWith(withLinks('online', [protector]), gone);
    meanwhile(rig, async () => {
      await rig.another().register(withLinks('online', [protector]));
      await stored(rig, latched);
    });
    expect(await rig.roads.deleteServer('sql-demo', rig.operator)).toMatchObject({ ok: true });
    expect(await rig.row()).toEqual(latched);
  });

  test('a latch that is stored between the look and the removal', async () => {
    const rig = await rigWith(withLinks('online', [protector]), gone);
    let reads = 0;
    rig.store.before = async (access, key) => {
      if (access !== 'read' || !key.startsWith('access/kv-west/link/') || (reads += 1) !== 2) return;
      rig.store.before = undefined;
      await stored(rig, latched);
    };
    await rig.roads.deleteServer('sql-demo', rig.operator);
    expect(await rig.row()).toEqual(latched);
  });

  test('one that stays away is no latch any more', async () => {
    const rig = await rigWith(withLinks('online', [protector]), latched);
    await rig.roads.deleteServer('sql-demo', rig.operator);
    expect((await rig.row())?.latch ?? null).toBeNull();
  });
});

describe('A6: which state lets a key be dropped', () => {
  const additional = aLink({ keyId: keyId('kv-west', 'b'.repeat(32)), role: 'additional', thumbprint: thumbprint('B') });

  test.each<[ServerState, string | undefined]>([
    ['pendingValidation', 'ServerInaccessible'],
    ['online', undefined],
    ['atRisk', undefined],
    ['inaccessible', 'ServerInaccessible'],
    ['needsRevalidation', 'ServerInaccessible'],
  ])('%s: %s', async (state, code) => {
    const rig = await rigWith(withLinks(state, [protector, additional]));
    const answer = await rig.roads.dropKey({ server: 'sql-demo', thumbprint: thumbprint('B'), confirmed: true }, rig.operator);
    expect(answer.ok ? undefined : answer.refusal.code).toBe(code);
    expect((await rig.server())?.links).toHaveLength(code === undefined ? 1 : 2);
  });
});

import { describe, expect, it } from 'vitest';
import { until, untilTrue, useJourneys } from '../support/journeys.ts';
import type { Fleet, OwnVault, PageBody, Traveller, VaultCall } from '../support/journeys.ts';

/* A revocation never fails over: not when the vault then goes down, not after a restart, not through a second instance. */
const journeys = useJourneys({ instances: 2 });

interface Revocation {
  readonly name: string;
  readonly revoke: (traveller: Traveller, fleet: Fleet) => Promise<unknown>;
  /** The class that the first refusal names; the vault is asked, or the control plane is (F9). */
  readonly class: 'revoked' | 'keyGone' | 'vaultGone';
  readonly vaultAnswers: boolean;
  /** Wraps succeed all the same, so that nobody has met a denial until something is unwrapped. */
  readonly stillWraps?: boolean;
}

const keyPath = ({ west, key, keyId }: Fleet): string => `/vaults/${west.name}/keys/${key}/${keyId.split('/').at(-1) ?? ''}`;

const revocations: readonly Revocation[] = [
  {
    name: 'access removed',
    revoke: ({ control }, { west }) => control(`PUT /vaults/${west.name}/access`, { allow: [] }),
    class: 'revoked',
    vaultAnswers: true,
  },
  {
    name: 'unwrapKey alone removed',
    revoke: ({ control }, { west }) => control(`PUT /vaults/${west.name}/access`, { allow: ['get', 'wrapKey'] }),
    class: 'revoked',
    vaultAnswers: true,
    stillWraps: true,
  },
  {
    name: 'the firewall closed',
    revoke: ({ fault }, { west }) => fault(west, { fault: 'status', status: 403, code: 'Forbidden', innerCode: 'ForbiddenByFirewall' }),
    class: 'revoked',
    vaultAnswers: true,
  },
  {
    name: 'key disabled (T31)',
    revoke: ({ control }, fleet) => control(`PATCH ${keyPath(fleet)}`, { enabled: false }),
    class: 'revoked',
    vaultAnswers: true,
    stillWraps: true,
  },
  {
    name: 'key deleted (T30)',
    revoke: ({ control }, { west, key }) => control(`DELETE /vaults/${west.name}/keys/${key}`),
    class: 'keyGone',
    vaultAnswers: true,
  },
  ...(['nxdomain', '503', 'reset'] as const).map((answers) => ({
    name: `vault deleted, answers ${answers}`,
    revoke: ({ control }: Traveller, { west }: Fleet) => control(`DELETE /vaults/${west.name}`, { answers }),
    class: 'vaultGone' as const,
    vaultAnswers: answers === 'nxdomain',
  })),
];

/** Wraps and unwraps at a vault: what a revocation must keep away from the standby. */
async function traffic(traveller: Traveller, vault: OwnVault): Promise<readonly string[]> {
  return (await traveller.calls(vault)).map(({ operation }) => operation).filter((operation) => operation !== 'get');
}

describe.for(['unwrap', 'wrap'] as const)('each way to take access away, met by %s first', (operation) => {
  it.concurrent.for(revocations)(
    'F4: $name: refused with the reason, and the second vault sees nothing',
    async ({ revoke, class: denial, vaultAnswers, stillWraps = false }, context) => {
      const traveller = journeys.begin(context);
      const fleet = await traveller.fleet();
      const { wrappedDek } = await traveller.wrapped(fleet);
      await traveller.unwrap(fleet, wrappedDek, { instance: 1 });
      await revoke(traveller, fleet);

      if (operation === 'wrap' && stillWraps)
        expect(await traveller.wrap(fleet)).toMatchObject({ status: 200, body: { vault: fleet.west.name, failover: false } });
      const first = await (operation === 'wrap' && !stillWraps ? traveller.wrap(fleet) : traveller.unwrap(fleet, wrappedDek));
      expect(first).toMatchObject({ status: 403, body: { code: 'KeyAccessDenied', retryable: true } });
      expect(first.body.attempts).toHaveLength(1);
      if (vaultAnswers) expect(first.body.attempts).toMatchObject([{ vault: fleet.west.name, role: 'primary', class: denial }]);
      expect((await traveller.protector(fleet)).latch).toMatchObject({ status: 'suspected', class: denial });
      // F4: whatever the other instance meets, it fails over no more.
      const second = await traveller.unwrap(fleet, wrappedDek, { instance: 1 });
      expect([403, 503]).toContain(second.status);
      expect(second.body.failover).toBeUndefined();

      // The latch holds when the vault then is out, whatever shape the outage has.
      for (const fault of [{ fault: 'refuse' }, { fault: 'status', status: 503 }]) {
        await traveller.fault(fleet.west, fault);
        for (const instance of [0, 1]) {
          for (const answer of [await traveller.unwrap(fleet, wrappedDek, { instance }), await traveller.wrap(fleet, { instance })]) {
            expect([403, 503]).toContain(answer.status);
            expect(['KeyAccessDenied', 'VaultUnavailable']).toContain(answer.body.code);
          }
        }
      }
      await traveller.watch({ instance: 1 });
      expect((await traveller.unwrap(fleet, wrappedDek)).status).not.toBe(200);
      expect(await traffic(traveller, fleet.north)).toEqual([]);
    },
  );
});

describe('less than all of it, or not at once', () => {
  it.concurrent(
    'F4: only wrapKey removed: wrap is refused for good and does not fail over, unwrap goes on, and no server is at risk',
    async (context) => {
      const traveller = journeys.begin(context);
      const fleet = await traveller.fleet();
      const { dek, wrappedDek } = await traveller.wrapped(fleet);
      await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: ['get', 'unwrapKey'] });
      const refused = await traveller.wrap(fleet);
      expect(refused).toMatchObject({ status: 403, body: { code: 'KeyAccessDenied', retryable: false } });
      expect((await traveller.unwrap(fleet, wrappedDek)).body).toMatchObject({ dek, failover: false });
      expect((await traveller.protector(fleet)).latch).toBeNull();
      await traveller.fault(fleet.west, { fault: 'refuse' });
      for (const instance of [0, 1]) {
        // F3: what the other instance read before may be a second old.
        await untilTrue('the refusal', async () => (await traveller.wrap(fleet, { instance })).status === 503, 40);
      }
      await traveller.clearCalls(fleet.north);
      for (const instance of [0, 1]) expect((await traveller.wrap(fleet, { instance })).status).toBe(503);
      expect(await traffic(traveller, fleet.north)).toEqual([]);
      expect((await traveller.server(fleet)).state).toBe('online');
    },
  );

  it.concurrent(
    'F3: a denial and an outage met in the same second by two instances: the standby is used for one second at most',
    async (context) => {
      const traveller = journeys.begin(context);
      const fleet = await traveller.fleet();
      const { wrappedDek } = await traveller.wrapped(fleet);
      await traveller.unwrap(fleet, wrappedDek, { instance: 1 });
      await traveller.fault(fleet.west, { fault: 'status', status: 503, rate: 0.5 });
      await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: [] });

      const heardAt = new Map<number, number>();
      const round = async (): Promise<void> => {
        const asked = [0, 1, 0, 1].map(async (instance) => {
          const askedAt = Date.now();
          const { status, body } = await traveller.unwrap(fleet, wrappedDek, { instance });
          const own = heardAt.get(instance);
          // An instance that knows of a denial begins no call to the standby.
          if (own !== undefined && own < askedAt) expect(body.failover).toBeUndefined();
          if (body.code === 'KeyAccessDenied') heardAt.set(instance, Math.min(Date.now(), own ?? Infinity));
          expect([200, 403, 503]).toContain(status);
        });
        await Promise.all(asked);
      };
      await untilTrue('a denial', async () => {
        await round();
        return heardAt.size > 0;
      });
      const denied = (await traveller.calls(fleet.west)).find(({ status }) => status === 403);
      const firstHeard = Math.min(...heardAt.values());
      await untilTrue('the second in which another instance may not know yet', async () => {
        await round();
        return Date.now() > firstHeard + 1_000;
      });
      await traveller.clearCalls(fleet.north);
      for (let i = 0; i < 5; i += 1) await round();
      expect(denied).toBeDefined();
      expect(await traffic(traveller, fleet.north)).toEqual([]);
    },
  );

  it.concurrent(
    'F4: a denial that another server of the same identity met reaches this one, also in the outage that follows',
    async (context) => {
      const traveller = journeys.begin(context);
      const fleet = await traveller.fleet();
      const { wrappedDek } = await traveller.wrapped(fleet);
      const other = await traveller.fleet({ vaults: fleet });
      const { wrappedDek: others } = await traveller.wrapped(other);
      // Another server of the same identity meets the denial: it reaches this one, whose proofs are void.
      await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: [] });
      expect((await traveller.unwrap(other, others)).body.code).toBe('KeyAccessDenied');
      await traveller.fault(fleet.west, { fault: 'refuse' });
      await traveller.clearCalls(fleet.north);
      const refused = await until('the read of a second ago to be over', async () => {
        const answer = await traveller.unwrap(fleet, wrappedDek);
        return answer.status === 503 ? answer : undefined;
      });
      expect(refused.body.detail).toMatch(/^F[45]: /);
      expect((await traveller.protector(fleet)).latch).toBeNull();
      expect((await traveller.protector(fleet)).failoverFrom).not.toBeNull();
      expect(await traffic(traveller, fleet.north)).toEqual([]);
    },
  );
});

describe('with brokers that are killed', () => {
  it.for(revocations)(
    'F4: $name: holds after every broker was killed and started anew, with the vault down',
    async ({ revoke }, context) => {
      const traveller = journeys.begin(context);
      const fleet = await traveller.fleet();
      const { wrappedDek } = await traveller.wrapped(fleet);
      await revoke(traveller, fleet);
      expect((await traveller.unwrap(fleet, wrappedDek)).body.code).toBe('KeyAccessDenied');
      await traveller.fault(fleet.west, { fault: 'refuse' });
      const old = journeys.environment.brokers.list().map(({ instance }) => instance);
      await traveller.control('POST /instances');
      for (const instance of old) await traveller.control(`DELETE /instances/${String(instance)}`);
      for (let i = 0; i < 3; i += 1) {
        const answer = await traveller.unwrap(fleet, wrappedDek);
        expect([403, 503]).toContain(answer.status);
        expect((await traveller.wrap(fleet)).status).not.toBe(200);
      }
      expect((await traveller.protector(fleet)).latch).not.toBeNull();
      expect(await traffic(traveller, fleet.north)).toEqual([]);
    },
  );
});

describe('a key without a standby', () => {
  async function withoutStandby(traveller: Traveller): Promise<{ readonly fleet: Fleet; readonly wrappedDek: string }> {
    const fleet = await traveller.fleet();
    const body = { keyId: fleet.keyId, standbyKeyIds: [] };
    expect((await traveller.as('Operator', `PUT /v1/servers/${fleet.server}/protector`, body)).status).toBe(200);
    return { fleet, wrappedDek: (await traveller.wrapped(fleet)).wrappedDek };
  }

  it('F4: says why access was denied also when its vault then goes down', async (context) => {
    const traveller = journeys.begin(context);
    const { fleet, wrappedDek } = await withoutStandby(traveller);
    await traveller.control(`PUT /vaults/${fleet.west.name}/access`, { allow: [] });
    expect((await traveller.unwrap(fleet, wrappedDek)).body.code).toBe('KeyAccessDenied');
    await traveller.fault(fleet.west, { fault: 'refuse' });
    for (const { instance } of journeys.environment.brokers.list()) {
      const { status, body } = await traveller.unwrap(fleet, wrappedDek, { instance });
      expect({ status, code: body.code }).toEqual({ status: 503, code: 'VaultUnavailable' });
      expect(body.detail).toMatch(/^F4: access to the key in vault .* was denied at /);
    }
  });

  it('F9: a vault that was deleted and answers 503 is no outage there either', async (context) => {
    const traveller = journeys.begin(context);
    const { fleet, wrappedDek } = await withoutStandby(traveller);
    await traveller.control(`DELETE /vaults/${fleet.west.name}`, { answers: '503' });
    const { status, body } = await traveller.unwrap(fleet, wrappedDek);
    expect({ status, code: body.code, findings: body.findings?.map(({ code }) => code) }).toEqual({
      status: 403,
      code: 'KeyAccessDenied',
      findings: ['KeyUnreachable'],
    });
    expect(body.findings?.[0]?.action).toMatch(/^Recover the vault/);
  });
});

describe('a standby that is slow to be met', () => {
  it('F3: a denial that is stored before the request leaves still holds it back, though the gate was open before', async (context) => {
    const traveller = journeys.begin(context);
    const { control } = traveller;
    const fleet = await traveller.fleet();
    const { wrappedDek } = await traveller.wrapped(fleet);
    // One that never met the standby: its challenge comes first.
    const { instance } = await control<{ instance: number }>('POST /instances');
    const met = async (): Promise<readonly string[]> =>
      (await control<PageBody<VaultCall>>(`GET /vaults/${fleet.north.name}/calls`)).items.map(({ operation }) => operation);
    try {
      await traveller.unwrap(fleet, wrappedDek, { instance });
      await traveller.clearCalls(fleet.north);
      await traveller.fault(fleet.north, { fault: 'slow', ms: 1700 });
      await traveller.fault(fleet.west, { fault: 'refuse' });
      const late = traveller.unwrap(fleet, wrappedDek, { instance });
      await untilTrue('the standby is met', async () => (await met()).includes('challenge'));
      await control(`PUT /vaults/${fleet.west.name}/access`, { allow: [] });
      await traveller.heal(fleet.west);
      expect(await traveller.unwrap(fleet, wrappedDek)).toMatchObject({ status: 403 });
      expect(await late).toMatchObject({ status: 503, body: { code: 'VaultUnavailable' } });
      expect(await met()).toEqual(['challenge']);
    } finally {
      await control(`DELETE /instances/${instance}`);
    }
  });
});

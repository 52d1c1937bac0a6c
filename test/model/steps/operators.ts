import { protectorGroup } from '../../../src/domain/server.ts';
import type { RequestContext } from '../../../src/domain/caller.ts';
import { database, plans, principalOf } from '../world/fleet.ts';
import type { Instance } from '../world/instance.ts';
import { isLatched } from '../world/store.ts';
import { keyIdOf, thumbprintOf } from '../world/vaults.ts';
import type { KeyName, VaultName } from '../world/vaults.ts';
import type { Naming, World } from '../world/world.ts';
import { arbitraryOf, at, group, key, server } from './step.ts';
import type { Taking, Weighted } from './step.ts';

/** What operators do. `vaults`: the primary's, then those of its standbys in their order. `register` is what is left of it, where some is done. */
export type OperatorStep =
  | { readonly do: 'revalidate'; readonly at: number; readonly server: number }
  | { readonly do: 'drill'; readonly at: number; readonly server: number }
  | { readonly do: 'audit'; readonly at: number }
  | { readonly do: 'protect'; readonly at: number; readonly server: number; readonly key: KeyName; readonly vaults: readonly VaultName[] }
  | { readonly do: 'link'; readonly at: number; readonly server: number; readonly key: KeyName; readonly vaults: readonly VaultName[] }
  | { readonly do: 'drop'; readonly at: number; readonly server: number; readonly key: KeyName }
  | { readonly do: 'unregister'; readonly at: number; readonly server: number }
  | { readonly do: 'register'; readonly at: number; readonly server: number };

export const protect = arbitraryOf('protect', { at, server, key, vaults: group });
export const drop = arbitraryOf('drop', { at, server, key });
export const link = arbitraryOf('link', { at, server, key, vaults: group });
export const unregister = arbitraryOf('unregister', { at, server });
export const register = arbitraryOf('register', { at, server });

export const operatorSteps: readonly Weighted[] = [
  { weight: 1, arbitrary: arbitraryOf('revalidate', { at, server }) },
  { weight: 1, arbitrary: arbitraryOf('drill', { at, server }) },
  { weight: 1, arbitrary: arbitraryOf('audit', { at }) },
  { weight: 2, arbitrary: protect },
  { weight: 1, arbitrary: link },
  { weight: 1, arbitrary: drop },
  { weight: 1, arbitrary: unregister },
  { weight: 2, arbitrary: register },
];

export const takingOperatorSteps: Taking<OperatorStep> = {
  revalidate: (world, one) => revalidate(world, one.at, nameOf(one)),
  drill: (world, one) => world.operate(one.at, ({ roads }, context) => roads.drill(nameOf(one), context)),
  audit: (world, one) => world.operate(one.at, ({ roads }, context) => roads.startAudit(context)),
  protect(world, one) {
    const wanted = { server: nameOf(one), ...keyIdsOf(one) };
    world.operate(one.at, ({ roads }, context) => roads.putProtector(wanted, context), namedIn(world, wanted));
  },
  link(world, one) {
    const wanted = { server: nameOf(one), ...keyIdsOf(one) };
    const ever = { from: undefined, to: undefined };
    world.operate(one.at, ({ roads }, context) => roads.linkKey({ ...wanted, ...ever }, context), namedIn(world, wanted));
  },
  drop(world, one) {
    const unwanted = { server: nameOf(one), thumbprint: thumbprintOf(one.key), confirmed: true };
    world.operate(one.at, ({ roads }, context) => roads.dropKey(unwanted, context));
  },
  unregister: (world, one) => world.operate(one.at, ({ roads }, context) => roads.deleteServer(nameOf(one), context)),
  register: (world, one) => registerServer(world, one.at, one.server),
};

function nameOf({ server: index }: { readonly server: number }): string {
  return plans[index]!.name;
}

export function revalidate(world: World, place: number, name: string): void {
  const registered = world.newest(name);
  const group = registered && protectorGroup(registered);
  const keyIds = group === undefined ? [] : [group.primary, ...group.standbys].map(({ keyId }) => keyId);
  world.operate(place, ({ roads }, context) => roads.revalidate(name, context), { server: name, keyIds });
}

type Wanted = Parameters<Instance['roads']['putProtector']>[0];

function keyIdsOf(one: { readonly key: KeyName; readonly vaults: readonly VaultName[] }): Pick<Wanted, 'keyId' | 'standbyKeyIds'> {
  const [home = 'west', ...others] = one.vaults;
  return { keyId: keyIdOf(home, one.key), standbyKeyIds: others.map((name) => keyIdOf(name, one.key)) };
}

/** K4: keys are proven on the operator's word. */
function namedIn(world: World, wanted: Wanted): Naming {
  const linked = world.newest(wanted.server)?.links.some((one) => one.keyId === wanted.keyId) === true;
  const primaryDenies = linked && isLatched(world.rows, wanted);
  return { server: wanted.server, keyIds: [wanted.keyId, ...wanted.standbyKeyIds], primaryDenies };
}

/** A server as it is in the plan: registered, with its protector and its database. */
export function registerServer(world: World, place: number, index: number): void {
  const { name, identity, groups } = plans[index]!;
  const wanted = { server: name, ...keyIdsOf(groups[0]!) };
  async function work({ roads }: Instance, context: RequestContext): Promise<void> {
    await roads.putServer(
      {
        name,
        engine: 'sql',
        region: 'westeurope',
        principalId: principalOf(name),
        defaultTier: undefined,
        identityClientId: identity ?? undefined,
        origin: undefined,
      },
      context,
    );
    if (world.newest(name)?.links.some(({ role }) => role === 'protector') !== true) {
      const set = await roads.putProtector(wanted, context);
      // K1, A6: a key that was linked with standbys of its own can be no standby, nor be dropped while there is no protector; so all begins anew.
      if (!set.ok && set.refusal.findings?.some(({ code }) => code === 'ChainedStandby')) {
        await roads.deleteServer(name, context);
        return;
      }
    }
    await roads.putDatabase({ server: name, database, tier: undefined }, context);
  }
  world.operate(place, work, namedIn(world, wanted));
}

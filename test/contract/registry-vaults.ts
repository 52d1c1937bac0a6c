import { beforeEach, describe, expect, it } from 'vitest';
import { aVault } from '../support/stored-values.ts';
import type { RegistryInstance, RegistryRig } from './registry.ts';

/** K1: vaults and what they are found by. A part of the registry's contract. */
export function describeVaults(factory: () => Promise<RegistryRig>): void {
  describe('vaults', () => {
    let a: RegistryInstance;
    let b: RegistryInstance;
    beforeEach(async () => {
      const rig = await factory();
      a = rig.open();
      b = rig.open();
    });

    it('K1: a vault is stored once by name and once by URI; who comes second learns who was first', async () => {
      const first = aVault('kv-west');
      expect(await a.registry.addVault(first)).toEqual(first);
      expect(await b.registry.addVault({ ...first, region: 'northeurope' })).toEqual(first);
      expect(await b.registry.addVault(aVault('kv-other', first.uri))).toEqual(first);
      expect(await b.registry.readVaults()).toEqual([first]);
      expect(b.registry.peekVault('kv-west')).toEqual(first);
      expect(a.registry.peekVaults()).toEqual([first]);
    });

    it('K1: of many instances that register one URI under many names at once, one wins and all learn which', async () => {
      const vaults = Array.from({ length: 8 }, (_, number) => aVault(`kv-${number}`, 'https://shared.vault.azure.net'));
      const answers = await Promise.all(vaults.map((vault, number) => (number % 2 === 0 ? a : b).registry.addVault(vault)));
      expect(new Set(answers.map((vault) => vault.name)).size).toBe(1);
      expect(await a.registry.readVaults()).toEqual([answers[0]]);
    });

    it('a vault is found by its name or its URI, fresh', async () => {
      const [one, two] = [aVault('kv-west'), aVault('kv-north')];
      for (const vault of [one, two]) await a.registry.addVault(vault);
      expect(await b.registry.findVault({ name: 'kv-west' })).toEqual(one);
      expect(await b.registry.findVault({ uri: two.uri })).toEqual(two);
      expect(await b.registry.findVault({ name: 'kv-none' })).toBeUndefined();
      expect(await b.registry.findVault({ uri: 'https://kv-none.vault.azure.net' })).toBeUndefined();
    });

    it('a vault that another instance registered is in the copy after a refresh', async () => {
      await b.registry.refresh();
      await a.registry.addVault(aVault('kv-west'));
      expect(b.registry.peekVault('kv-west')).toBeUndefined();
      await b.registry.refresh();
      expect(b.registry.peekVault('kv-west')).toEqual(aVault('kv-west'));
    });
  });
}

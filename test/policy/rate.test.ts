import { expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { dearestCosts, limitOf, serviceCost, shapeAt, shapeName } from '../../src/policy/rate.ts';
import { rules } from '../support/admission-fleet.ts';

test.each([
  ['RSA/2048', 313],
  ['RSA/3072', 1250],
  ['RSA/4096', 2500],
  ['RSA-HSM/2048', 625],
  ['RSA-HSM/3072', 2500],
  ['RSA-HSM/4096', 5000],
  ['EC/0', 5000],
  ['RSA-HSM/8192', 5000],
])('B2: one operation with %s takes %i millionths of 80 %% of the service limit; what is unknown costs the most', (shape, cost) => {
  expect(serviceCost(shape, rules)).toBe(cost);
});

test('B2: a shorter window takes fewer operations', () => {
  expect(serviceCost('RSA-HSM/3072', { ...rules, windowMs: millis(5000) })).toBe(5000);
});

test('B2: limits that are set hold in the place of those that are documented', () => {
  const raised = { ...rules, serviceLimits: { ...rules.serviceLimits, 'RSA-HSM/3072': 1000, 'RSA/4096': 100 } };
  expect(['RSA-HSM/3072', 'RSA/4096', 'EC/0'].map((shape) => serviceCost(shape, raised))).toEqual([1250, 12_500, 12_500]);
  expect(dearestCosts(raised)).toEqual({ linked: 1250, any: 12_500 });
});

test('B2: the service sets no limit to a Managed HSM, whatever the key', () => {
  const key = { keyType: 'RSA-HSM', keySize: 4096 };
  expect(serviceCost(shapeName(shapeAt('managedHsm', key)), rules)).toBe(0);
  expect(shapeAt('vault', key)).toEqual(key);
});

test('B4: the purses share the budget 95 to 5', () => {
  expect(limitOf('traffic', rules)).toEqual({ points: 950, service: 950_000 });
  expect(limitOf('probes', rules)).toEqual({ points: 50, service: 50_000 });
});

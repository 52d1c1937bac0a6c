import { expect, test } from 'vitest';
import { createFlights, type Unwrapping } from '../../src/broker/flights.ts';
import { keyId } from '../support/stored-values.ts';

function unwrapping(...bytes: number[]): Unwrapping {
  return {
    target: { server: 'sql-a', keyId: keyId(), identity: null },
    algorithm: 'RSA-OAEP-256',
    wrappedDek: Uint8Array.from(bytes),
  };
}

test('C4: what ended is not found any more, what ends alike stays, and nothing is kept of it', () => {
  const flights = createFlights<{ readonly of: Unwrapping }>();
  const [one, other] = [{ of: unwrapping(1, 7, 8, 9) }, { of: unwrapping(2, 7, 8, 9) }];
  flights.add(one);
  flights.add(other);
  expect(flights.find(unwrapping(1, 7, 8, 9))).toBe(one);
  flights.delete(one.of);
  expect(flights.find(unwrapping(1, 7, 8, 9))).toBeUndefined();
  expect(flights.find(unwrapping(2, 7, 8, 9))).toBe(other);
  flights.delete(other.of);
  expect(flights.size).toBe(0);
});

test.each([0, 1, 2, 3])('C4: a ciphertext of %i bytes is found, too', (length) => {
  const flights = createFlights<{ readonly of: Unwrapping }>();
  const bytes = [250, 251, 252].slice(0, length);
  const flight = { of: unwrapping(...bytes) };
  flights.add(flight);
  expect(flights.find(unwrapping(...bytes))).toBe(flight);
  expect(flights.find(unwrapping(...bytes, 0))).toBeUndefined();
});

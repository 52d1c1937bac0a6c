import { expect, test } from 'vitest';
import { BudgetPicture } from '../../src/broker/budget-picture.ts';
import { OwnSlowdown } from '../../src/broker/own-slowdown.ts';
import { Spending } from '../../src/broker/spending.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { Moment } from '../../src/policy/lease.ts';
import { rowOf } from '../contract/budget-ledger.ts';
import { rules } from '../support/admission-fleet.ts';

function at(elapsed: number): Moment {
  return { elapsed: millis(elapsed), now: instant(elapsed) };
}

test('B3: a row that this instance only wrote says what others did until it was read, or until a write of it held', () => {
  const slowdown = new OwnSlowdown('a');
  const picture = new BudgetPicture({ purse: 'traffic', instance: 'a', rules, spending: new Spending(rules), slowdown });
  picture.look(rowOf('a'), at(1000));
  picture.look(rowOf('a'), at(5000), 'written');
  expect(picture.view?.readAt).toBe(1000);
  picture.confirmed(millis(5000));
  expect(picture.view?.readAt).toBe(5000);
  picture.confirmed(millis(4000));
  expect(picture.view?.readAt).toBe(5000);
});

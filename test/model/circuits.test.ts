import { describeCircuits } from '../contract/circuits.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { simulatedCircuits } from './world/circuits.ts';

describeCircuits('of the model', () => {
  const changes: ('open' | 'closed')[] = [];
  return { circuits: simulatedCircuits(virtualClock(), (_vault, state) => changes.push(state)), changes };
});

import type { StatusView } from '../../src/broker/fleet-views.ts';
import type { AuditInstance } from './audit-fleet.ts';
import { aCaller, aContext } from './builders.ts';

const context = aContext(aCaller(['KeyBroker.Auditor']));

/** Which servers that are not online are asked for; the worst hundred by default. */
export interface StatusPage {
  readonly after?: string;
  readonly limit?: number;
}

/** The status document as the instance tells it to an auditor. */
export async function statusAt({ roads }: Pick<AuditInstance, 'roads'>, { after, limit = 100 }: StatusPage = {}): Promise<StatusView> {
  const answer = await roads.status({ after: after ?? null, limit }, context);
  if (!answer.ok) throw new Error(answer.refusal.detail);
  return answer.value;
}

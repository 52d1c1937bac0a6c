import { documentedLimits, type ServiceLimits } from '../domain/service-limits.ts';
import type { Read } from './kinds.ts';

const fewest = 10;
const most = 1_000_000;
const kinds = Object.keys(documentedLimits);

/** As it would be written: `RSA/2048=4000,…`. */
export const standardLimits = Object.entries(documentedLimits)
  .map(([kind, limit]) => `${kind}=${limit}`)
  .join(',');

export const serviceLimitsBounds = `\`{kind}=n\`, separated by commas: each kind at most once, of ${kinds.join(', ')}; n a whole number from ${fewest} to ${most}`;

/** Reads the limits of some kinds of keys; the others keep what the service documents. The problem names every wrong one. */
export function readServiceLimits(text: string): Read<ServiceLimits> {
  const read = new Map<string, number>();
  const problems: string[] = [];
  text.split(',').forEach((part, index) => {
    const [kind = '', written = '', ...more] = part.split('=').map((one) => one.trim());
    const limit = Number(written);
    if (!kinds.includes(kind) || more.length > 0) problems.push(`[${index}] is not \`{kind}=n\` with one of the kinds ${kinds.join(', ')}`);
    else if (read.has(kind)) problems.push(`has ${kind} twice`);
    else if (!/^\d{1,7}$/.test(written) || limit < fewest || limit > most)
      problems.push(`${kind} must be a whole number from ${fewest} to ${most}`);
    read.set(kind, limit);
  });
  if (problems.length > 0) return { ok: false, problem: problems.join('; ') };
  return { ok: true, value: { ...documentedLimits, ...Object.fromEntries(read) } };
}

import type { DatabaseCounts, RegisteredServer, Tier } from '../domain/server.ts';

/** The numbers of B1: points a database, and points a vault. */
export interface AssociationRules {
  readonly points: Readonly<Record<Tier, number>>;
  readonly limit: number;
}

/** What these databases count for, in points. */
export function associationPoints(counts: DatabaseCounts, rules: AssociationRules): number {
  return counts.GeneralPurpose * rules.points.GeneralPurpose + counts.BusinessCritical * rules.points.BusinessCritical;
}

/** B1: whether a vault may carry these databases. */
export function fitsAssociation(sum: DatabaseCounts, rules: AssociationRules): boolean {
  return associationPoints(sum, rules) <= rules.limit;
}

/**
 * The vaults that carry a server's databases: the protector's and its standbys', since failover moves the load there (B1). Former
 * protectors' vaults carry none: their DEKs are unwrapped once and rewrapped.
 */
export function carryingVaults(registered: RegisteredServer): readonly string[] {
  const protector = registered.links.find((link) => link.role === 'protector');
  if (protector === undefined) return [];
  const standbys = registered.links.filter((link) => link.standbyOf === protector.keyId);
  return [...new Set([protector, ...standbys].map((link) => link.vault))];
}

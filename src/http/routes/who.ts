import type { Role } from '../../domain/caller.ts';

/** Who may use a route (design section 5). A host is held to its own server by the road, which knows the server's principal. */
export const hosts: readonly Role[] = ['KeyBroker.Host'];
export const operators: readonly Role[] = ['KeyBroker.Operator'];
export const readers: readonly Role[] = ['KeyBroker.Operator', 'KeyBroker.Auditor'];
export const operatorsAndHosts: readonly Role[] = ['KeyBroker.Operator', 'KeyBroker.Host'];
export const readersAndHosts: readonly Role[] = ['KeyBroker.Operator', 'KeyBroker.Auditor', 'KeyBroker.Host'];

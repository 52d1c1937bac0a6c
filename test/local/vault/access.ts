import type { Operation } from './operations.ts';

/** What identities may do. At the start everybody may do everything. */
export interface Access {
  /** Sets what one identity may do, or everybody, which replaces what was set for single ones. */
  set(principal: string | undefined, allow: readonly Operation[]): void;
  allows(principal: string, operation: Operation): boolean;
  /** Back to the start. */
  reset(): void;
}

export function createAccess(): Access {
  let everybody: ReadonlySet<Operation> | undefined;
  const single = new Map<string, ReadonlySet<Operation>>();
  return {
    set(principal, allow) {
      if (principal === undefined) {
        everybody = new Set(allow);
        single.clear();
      } else {
        single.set(principal, new Set(allow));
      }
    },
    allows: (principal, operation) => (single.get(principal) ?? everybody)?.has(operation) ?? true,
    reset() {
      everybody = undefined;
      single.clear();
    },
  };
}

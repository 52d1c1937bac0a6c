import type { Fault, FaultClass } from '../domain/fault.ts';

/** A fault with what is usual: no status, no code, no reach, nothing hidden. `detail`: one clause, lower case, the broker's words only. */
export function fault(faultClass: FaultClass, detail: string, parts: Partial<Omit<Fault, 'class' | 'detail'>> = {}): Fault {
  return { class: faultClass, status: null, code: null, reach: null, mayHideDenial: false, outsideValidity: false, ...parts, detail };
}

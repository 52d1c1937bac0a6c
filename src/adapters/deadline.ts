import type { Millis } from '../domain/time.ts';

/** What `promise` resolves to, or undefined if it has not settled within `within`; it is not cancelled, as others may share it. Rejects as it does. */
export async function beforeDeadline<T>(promise: Promise<T>, within: Millis): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(within, 0));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

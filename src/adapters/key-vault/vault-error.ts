import { readJson } from '../json.ts';

/** What a vault's error body says (facts, key-vault-behaviour 2.1). `message` is for labels and codes within it; it never leaves the adapter. */
export interface VaultError {
  readonly code: string | null;
  readonly inner: string | null;
  /** The code `AKV` and five digits at the head of a 401's message; it exists nowhere else. */
  readonly akv: string | null;
  readonly message: string;
}

/** A code is short and plain: anything else that stands in its place is not repeated, as it might be anything. */
const codeForm = /^[A-Za-z][A-Za-z0-9_. -]{0,63}$/;

/** Reads an error body; all null where it is absent, HTML or of another shape. */
export function readVaultError(body: string | null): VaultError {
  const error = readJson(readJson(body)?.['error']);
  const message = typeof error?.['message'] === 'string' ? error['message'] : '';
  const inner = readJson(error?.['innererror'])?.['code'];
  return { code: codeIn(error?.['code']), inner: codeIn(inner), akv: /^AKV\d{5}\b/.exec(message)?.[0] ?? null, message };
}

function codeIn(value: unknown): string | null {
  return typeof value === 'string' && codeForm.test(value) ? value : null;
}

import { keyDisabled, operationForbidden, throttled, type VaultError, type VaultLabel } from './errors.ts';
import type { Operation } from './operations.ts';

const codeByStatus = new Map<number, string>([
  [400, 'BadParameter'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'KeyNotFound'],
  [409, 'Conflict'],
  [429, 'Throttled'],
  [500, 'InternalServerError'],
  [503, 'ServiceUnavailable'],
]);

const networkRefusals = new Map<string, (vault: VaultLabel) => string>([
  [
    'ForbiddenByFirewall',
    ({ name, region }) =>
      `Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1 from unknown subnet\r\nVault: ${name};location=${region}`,
  ],
  [
    'ForbiddenByConnection',
    () => 'Public network access is disabled and request is not from a trusted service nor via an approved private link.',
  ],
]);

/** What a `status` fault answers: the service's own words where its status or inner code has some, else words that say what it is. */
export function faultAnswer(
  vault: VaultLabel,
  operation: Operation | 'unknown',
  fault: { status: number; code?: string | undefined; innerCode?: string | undefined },
): VaultError {
  const { status, innerCode } = fault;
  const code = fault.code ?? codeByStatus.get(status) ?? 'Error';
  const words = new Map<string, string>([
    ['KeyDisabled', keyDisabled(operation).message],
    ['KeyOperationForbidden', operationForbidden(operation).message],
  ]);
  const known = innerCode === undefined ? undefined : (words.get(innerCode) ?? networkRefusals.get(innerCode)?.(vault));
  const message = known ?? (status === 429 ? throttled.message : `The request failed with ${code}.`);
  return innerCode === undefined ? { status, code, message } : { status, code, message, inner: innerCode };
}

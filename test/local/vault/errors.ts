import type { Operation, RoutedOperation } from './operations.ts';
import type { TokenClaims } from './tokens.ts';

/**
 * An error answer of the service. The texts are those of facts, key-vault-behaviour 2.1 and 3; where those say that a text is not
 * established, it is formed like its nearest kin, which the comment then says.
 */
export interface VaultError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly inner?: string;
}

/** What a refusal says of the vault that gave it. */
export interface VaultLabel {
  readonly name: string;
  readonly region: string;
  readonly kind: 'vault' | 'managedHsm';
  readonly denial: 'rbac' | 'accessPolicy';
}

/** Tells the service's error from what was asked for. */
export function isError(outcome: object): outcome is VaultError {
  return 'status' in outcome && 'code' in outcome;
}

export function bodyOf({ code, message, inner }: VaultError): string {
  return JSON.stringify({ error: inner === undefined ? { code, message } : { code, message, innererror: { code: inner } } });
}

function unauthorized(message: string): VaultError {
  return { status: 401, code: 'Unauthorized', message };
}

function forbidden(message: string, inner: string): VaultError {
  return { status: 403, code: 'Forbidden', message, inner };
}

function badParameter(message: string): VaultError {
  return { status: 400, code: 'BadParameter', message };
}

export const missingToken = unauthorized('AKV10000: Request is missing a Bearer or PoP token.');

/** The number that Key Vault gives an expired token today is not established; this is the newest text that was seen. */
export const expiredToken = unauthorized("[TokenExpired] Error validating token: 'S2S12086'.");

/** The text for a token that is none, or whose signature is wrong, is not established; kin of the expired token's older text. */
export const invalidToken = unauthorized("Error validating token: 'S2S12005'.");

export function wrongIssuer(expected: string, found: string): VaultError {
  return unauthorized(
    `AKV10032: Invalid issuer. Expected one of https://sts.windows.net/${expected}/, found https://sts.windows.net/${found}/.`,
  );
}

export function wrongAudience(expected: string, found: string): VaultError {
  return unauthorized(`AKV10022: Invalid audience. Expected ${expected}, found: ${found}.`);
}

/** Says back the token's header, as the service does, and no more of it. */
export function unresolvedSigningKey(encodedHeader: string): VaultError {
  return unauthorized(`AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '${encodedHeader}'`);
}

const actions: Readonly<Record<RoutedOperation, string>> = {
  get: 'keys/read',
  list: 'keys/read',
  listVersions: 'keys/read',
  getDeleted: 'keys/read',
  listDeleted: 'keys/read',
  create: 'keys/create/action',
  update: 'keys/update/action',
  delete: 'keys/delete',
  rotate: 'keys/rotate/action',
  getRotationPolicy: 'keyrotationpolicies/read',
  backup: 'keys/backup/action',
  restore: 'keys/restore/action',
  recover: 'keys/recover/action',
  purge: 'keys/purge/action',
  wrapKey: 'keys/wrap/action',
  unwrapKey: 'keys/unwrap/action',
  encrypt: 'keys/encrypt/action',
  decrypt: 'keys/decrypt/action',
  sign: 'keys/sign/action',
  verify: 'keys/verify/action',
};

/** The identity lacks the right (facts 3.2, rows 1, 2 and 10). `activityId` is shown by a Managed HSM only. */
export function accessDenied(
  vault: VaultLabel,
  operation: RoutedOperation,
  claims: TokenClaims,
  about: { key: string; activityId: string },
): VaultError {
  const issuer = `https://sts.windows.net/${claims.tenant}/`;
  if (vault.kind === 'managedHsm') {
    const message = `Not authorized to access Microsoft.KeyVault/managedHsm/${actions[operation]} on / (Activity ID: ${about.activityId})`;
    return { status: 403, code: 'AccessDenied', message };
  }
  if (vault.denial === 'accessPolicy') {
    const who = `The user, group or application 'appid=${claims.appId};oid=${claims.principal};numgroups=0;iss=${issuer}'`;
    const where = `on key vault '${vault.name};location=${vault.region}'`;
    const what = `does not have keys ${policyPermission(operation)} permission`;
    const help = 'For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287';
    return forbidden(`${who} ${what} ${where}. ${help}`, 'ForbiddenByPolicy');
  }
  const lines = [
    'Caller is not authorized to perform action on resource.',
    'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
    `Caller: appid=${claims.appId};oid=${claims.principal};iss=${issuer}`,
    `Action: 'Microsoft.KeyVault/vaults/${actions[operation]}'`,
    `Resource: '${resourceOf(vault)}${about.key === '' ? '' : `/keys/${about.key}`}'`,
    'Assignment: (not found)',
    'DenyAssignmentId: null',
    "DecisionReason: 'DeniedWithNoValidRBAC'",
    `Vault: ${vault.name};location=${vault.region}`,
    '',
  ];
  return forbidden(lines.join('\r\n'), 'ForbiddenByRbac');
}

function policyPermission(operation: RoutedOperation): string {
  if (operation === 'listVersions' || operation === 'listDeleted') return 'list';
  return operation === 'getDeleted' ? 'get' : operation;
}

function resourceOf(vault: VaultLabel): string {
  const group = '/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/local';
  return `${group}/providers/microsoft.keyvault/vaults/${vault.name}`;
}

export function keyDisabled(operation: Operation | 'unknown'): VaultError {
  return forbidden(`Operation ${operation} is not allowed on a disabled key.`, 'KeyDisabled');
}

/** Inner code and text are not established; kin of the service's `SecretExpired`. */
export function keyExpired(operation: Operation): VaultError {
  return forbidden(`Operation ${operation} is not allowed on an expired key.`, 'KeyExpired');
}

/** Inner code and text are not established; kin of `keyExpired`. */
export function keyNotYetValid(operation: Operation): VaultError {
  return forbidden(`Operation ${operation} is not allowed on a not yet valid key.`, 'KeyNotYetValid');
}

export function operationForbidden(operation: Operation | 'unknown'): VaultError {
  return forbidden(`Operation ${operation} is not permitted on this key.`, 'KeyOperationForbidden');
}

/** The text is not established. */
export const purgeForbidden = forbidden(
  'Operation "purge" is not allowed because purge protection is enabled for this vault.',
  'ForbiddenByPolicy',
);

/** One answer for a key or version that never was, was deleted or was purged (facts 3.3). */
export function keyNotFound(name: string, version: string | null): VaultError {
  const id = version === null ? name : `${name}/${version}`;
  const message = `A key with (name/id) ${id} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`;
  return { status: 404, code: 'KeyNotFound', message };
}

export function deletedKeyNotFound(name: string): VaultError {
  return { status: 404, code: 'KeyNotFound', message: `Deleted Key not found: ${name}` };
}

export function deletedButRecoverable(name: string): VaultError {
  const message = `Key ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.`;
  return { status: 409, code: 'Conflict', message, inner: 'ObjectIsDeletedButRecoverable' };
}

export function restoreConflict(keyId: string): VaultError {
  const message = `Conflict while restoring key ${keyId} - key already exists or concurrent access`;
  return { status: 409, code: 'Conflict', message };
}

/** The text for recovering over a key that exists is not established; kin of the restore's. */
export function recoverConflict(keyId: string): VaultError {
  return { status: 409, code: 'Conflict', message: `Conflict while recovering key ${keyId} - key already exists or concurrent access` };
}

export const malformedBackup: VaultError = {
  status: 400,
  code: 'Malformed backup blob',
  message: 'Backup blob contains invalid or corrupt version.',
};

/** The service refuses such a backup (facts 7.3); its text is not established. */
export const foreignBackup = badParameter('The backup was made in another geography.');

export const badPadding = badParameter('Error occurred while decoding OAEP padding.');
/** The text for PKCS #1 v1.5 is not established. */
export const badPkcs1Padding = badParameter('Error occurred while decoding PKCS1 padding.');
export const invalidProperty = badParameter('Property has invalid value\r\n');

export function unknownApiVersion(version: string): VaultError {
  return badParameter(`The specified version (${version}) is not recognized. Consider using the latest supported version (2025-07-01).`);
}

export const throttled: VaultError = {
  status: 429,
  code: 'Throttled',
  message: 'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
};

/** Not established. */
export const methodNotAllowed: VaultError = {
  status: 405,
  code: 'MethodNotAllowed',
  message: 'The HTTP method is not allowed on this path.',
};
/** Not established. */
export const bodyTooLarge: VaultError = { status: 413, code: 'RequestEntityTooLarge', message: 'The request body is too large.' };
/** No trustworthy sample of a 5xx body is known (facts 3.5): callers must treat it as opaque. */
export const vaultDown: VaultError = { status: 503, code: 'ServiceUnavailable', message: 'The service is unavailable.' };

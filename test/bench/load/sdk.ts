import { ManagedIdentityCredential } from '@azure/identity';
import { CryptographyClient } from '@azure/keyvault-keys';
import { doJobs } from '../child.ts';
import { createSdkCaller } from '../sdk.ts';
import type { SdkCall } from '../sdk.ts';
import { run } from './pace.ts';
import type { Answered, Fire, Pace } from './pace.ts';

export interface SdkJob {
  readonly calls: readonly SdkCall[];
  readonly pace: Pace;
  /** Each call by a new client as a host would make it: from the key id alone, with the SDK's default retries. */
  readonly plain?: boolean;
}

const direct = createSdkCaller();
const credential = new ManagedIdentityCredential();

async function plain({ operation, keyId, value }: SdkCall): Promise<void> {
  const client = new CryptographyClient(keyId, credential);
  const bytes = Buffer.from(value, 'base64url');
  await (operation === 'wrap' ? client.wrapKey('RSA-OAEP-256', bytes) : client.unwrapKey('RSA-OAEP-256', bytes));
}

doJobs<SdkJob>(async ({ calls, pace, plain: isPlain = false }) => {
  const fire: Fire = (index) => {
    const call = calls[index % calls.length];
    if (call === undefined) throw new Error('no calls');
    return answered(isPlain ? plain(call) : direct(call));
  };
  return run(pace, fire);
});

async function answered(work: Promise<unknown>): Promise<Answered> {
  try {
    await work;
    return { status: 200 };
  } catch (error) {
    const { statusCode } = error as { statusCode?: unknown };
    return { status: typeof statusCode === 'number' ? statusCode : 0 };
  }
}

import { app } from '@azure/functions';
import { expect, test, vi } from 'vitest';
import { broker } from '../../src/app.ts';

vi.mock('@azure/functions', () => ({
  app: { setup: vi.fn(), http: vi.fn(), timer: vi.fn(), hook: { appTerminate: vi.fn() } },
}));
vi.mock('../../src/app.ts', () => ({
  broker: { serve: vi.fn(), watch: vi.fn(), auditPermissions: vi.fn(), close: vi.fn(() => Promise.resolve()) },
}));
await import('../../functions/main.ts');

test('P3: when the platform ends the process, the hook waits until what waits is stored', async () => {
  const [hook] = vi.mocked(app.hook.appTerminate).mock.calls[0] ?? [];
  const stored = Promise.withResolvers<undefined>();
  vi.mocked(broker.close).mockReturnValueOnce(stored.promise);
  let over = false;
  const ending = Promise.resolve(hook?.({} as never)).then(() => (over = true));
  expect(broker.close).toHaveBeenCalledOnce();
  await Promise.resolve();
  expect(over).toBe(false);
  stored.resolve(undefined);
  await ending;
});

test('bodies that come in chunks reach the broker: streaming is on', () => {
  expect(app.setup).toHaveBeenCalledWith({ enableHttpStream: true });
});

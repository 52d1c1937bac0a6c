import type { Log } from './log.ts';
import type { CoreApi, Disposable, FunctionCallback, FunctionMetadata, HookCallback, ProgrammingModel } from './seam.ts';

export interface RegisteredFunction {
  readonly metadata: FunctionMetadata;
  readonly callback: FunctionCallback;
}

/** What an app has registered at the core. */
export interface Core {
  readonly api: CoreApi;
  readonly functions: ReadonlyMap<string, RegisteredFunction>;
  /** No function can be registered after this: the host has read the list. */
  lock(): void;
  programmingModel(): ProgrammingModel | undefined;
  /** True if a hook of this name is registered; spares a request the making of the hook's context. */
  hasHooks(name: string): boolean;
  /** Runs the hooks of one name in order of registration, one after the other. Rejects with the first that throws. */
  runHooks(name: string, context: object): Promise<void>;
}

class DisposeOnce implements Disposable {
  #dispose: (() => void) | undefined;

  constructor(dispose: () => void) {
    this.#dispose = dispose;
  }

  dispose(): void {
    this.#dispose?.();
    this.#dispose = undefined;
  }
}

const hookNames = new Set(['preInvocation', 'postInvocation', 'appStart', 'appTerminate', 'log']);

/** A core that keeps what the app registers, with the worker's rules on when and what may be registered. */
export function createCore(log: Log): Core {
  const functions = new Map<string, RegisteredFunction>();
  const hooks = new Map<string, Set<HookCallback>>();
  let locked = false;
  let model: ProgrammingModel | undefined;

  const api: CoreApi = {
    version: '3.9.1',
    hostVersion: '4.1037.0',
    Disposable: DisposeOnce,
    registerFunction(metadata, callback) {
      if (locked) throw new Error('A function can only be registered during app startup.');
      if (functions.has(metadata.name)) throw new Error(`A function with name "${metadata.name}" has already been registered.`);
      functions.set(metadata.name, { metadata, callback });
      return new DisposeOnce(() => {
        if (locked) throw new Error('A function can only be unregistered during app startup.');
        functions.delete(metadata.name);
      });
    },
    registerHook(name, callback) {
      if (!hookNames.has(name)) throw new RangeError(`Unrecognized hook "${name}"`);
      const registered = hooks.get(name) ?? new Set();
      hooks.set(name, registered.add(callback));
      return new DisposeOnce(() => registered.delete(callback));
    },
    setProgrammingModel(next) {
      model = next;
    },
    getProgrammingModel() {
      if (!model) throw new Error('No programming model is set.');
      return model;
    },
    log: (level, category, message) => log(level, category, message),
  };

  return {
    api,
    functions,
    lock: () => (locked = true),
    programmingModel: () => model,
    hasHooks: (name) => (hooks.get(name)?.size ?? 0) > 0,
    async runHooks(name, context) {
      for (const hook of hooks.get(name) ?? []) await hook(context);
    },
  };
}

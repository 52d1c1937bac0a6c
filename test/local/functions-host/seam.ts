import Module, { createRequire } from 'node:module';

/**
 * The seam between the Functions worker and `@azure/functions` (facts, functions-platform 1.1 and 1.2): the types of the module
 * `@azure/functions-core` as far as an app with HTTP and timer triggers meets them. At this seam enum values are lower-case strings.
 */
export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical';
export type LogCategory = 'user' | 'system' | 'customMetric';
export type FunctionCallback = (...args: unknown[]) => unknown;
export type HookCallback = (context: unknown) => unknown;

/** Binding as the library registers it; `route`, `methods`, `authLevel` of HTTP, `schedule`, `runOnStartup` of timers. */
export interface Binding {
  readonly type: string;
  readonly direction: 'in' | 'out';
  readonly route?: string;
  readonly methods?: readonly string[];
  readonly authLevel?: string;
  readonly schedule?: string;
  readonly runOnStartup?: boolean;
}

export interface FunctionMetadata {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Binding>>;
  readonly retryOptions?: unknown;
}

export interface Nullable {
  readonly value: string;
}

/** What the host sends of an HTTP request when bodies travel in the message and not on a proxied connection. */
export interface RpcHttp {
  readonly method?: string;
  readonly url?: string;
  readonly nullableHeaders?: Readonly<Record<string, Nullable>>;
  readonly nullableQuery?: Readonly<Record<string, Nullable>>;
  readonly nullableParams?: Readonly<Record<string, Nullable>>;
  readonly body?: { readonly bytes: Buffer };
  readonly statusCode?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TypedValue {
  readonly string?: string;
  readonly json?: string;
  readonly bytes?: Uint8Array;
  readonly http?: RpcHttp;
}

export interface InvocationRequest {
  readonly invocationId: string;
  readonly inputData: readonly { readonly name: string; readonly data: TypedValue }[];
  readonly triggerMetadata: Readonly<Record<string, TypedValue>>;
  readonly traceContext?: { readonly traceParent: string; readonly traceState: string };
}

export interface InvocationResponse {
  readonly returnValue?: TypedValue | null;
}

/** What the worker tells the library of an invocation. The library reads `state` to warn of logs after the end. */
export interface CoreInvocation {
  readonly invocationId: string;
  readonly request: InvocationRequest;
  readonly metadata: FunctionMetadata;
  state: 'preInvocationHooks' | 'invocation' | 'postInvocationHooks' | undefined;
  log(level: LogLevel, category: LogCategory, message: string): void;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<InvocationResponse>;
}

export interface ProgrammingModel {
  readonly name: string;
  getInvocationModel(invocation: CoreInvocation): InvocationModel;
  getCapabilities(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

export interface Disposable {
  dispose(): void;
}

/** The module `@azure/functions-core`. */
export interface CoreApi {
  readonly version: string;
  readonly hostVersion: string;
  registerFunction(metadata: FunctionMetadata, callback: FunctionCallback): Disposable;
  registerHook(name: string, callback: HookCallback): Disposable;
  setProgrammingModel(model: ProgrammingModel): void;
  getProgrammingModel(): ProgrammingModel;
  log(level: LogLevel, category: LogCategory, message: string): void;
  readonly Disposable: new (dispose: () => void) => Disposable;
}

const coreModule = '@azure/functions-core';

/**
 * Answers `require('@azure/functions-core')` with `core`, as the worker does: by `Module.prototype.require`, so that the library's own
 * lookup finds it, and `import` of the name fails as it fails in Azure.
 *
 * @throws if something already answers to that name: a second core would split the registrations.
 */
export function provideCore(core: CoreApi): void {
  if (canRequireCore()) throw new Error(`${coreModule} can be required already: the local host does not start inside another host`);
  const prototype: { require: (this: Module, id: string) => unknown } = Module.prototype;
  prototype.require = new Proxy(prototype.require, {
    apply: (target, self: Module, args: [string]) => (args[0] === coreModule ? core : Reflect.apply(target, self, args)),
  });
}

function canRequireCore(): boolean {
  try {
    createRequire(import.meta.url)(coreModule);
    return true;
  } catch {
    return false;
  }
}

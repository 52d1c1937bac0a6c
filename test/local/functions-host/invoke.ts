import type { App } from './app.ts';
import type { RegisteredFunction } from './core.ts';
import type { Log } from './log.ts';
import type { CoreInvocation, FunctionCallback, InvocationRequest, InvocationResponse } from './seam.ts';

interface InvocationHook {
  readonly hookData: Record<string, unknown>;
  readonly invocationContext: unknown;
  inputs: unknown[];
}

/** A pre-invocation hook may replace the inputs and the callback. */
interface PreInvocation extends InvocationHook {
  functionCallback: FunctionCallback;
}

/** A post-invocation hook may replace the result and the error. */
interface PostInvocation extends InvocationHook {
  result: unknown;
  error: unknown;
}

/**
 * One invocation, step by step as the worker does it (facts 1.2): model, arguments, pre-hooks, handler, post-hooks, response.
 * Rejects with what the handler or a hook threw.
 */
export async function invoke(app: App, target: RegisteredFunction, request: InvocationRequest, log: Log): Promise<InvocationResponse> {
  const { core, model } = app;
  const { metadata } = target;
  const invocation: CoreInvocation = {
    invocationId: request.invocationId,
    request,
    metadata,
    state: undefined,
    log: (level, _category, message) => log(level, metadata.name, message),
  };
  const invocationModel = model.getInvocationModel(invocation);
  const { context, inputs } = await invocationModel.getArguments();
  const hookData = {};

  const before: PreInvocation = { hookData, invocationContext: context, inputs, functionCallback: target.callback };
  if (core.hasHooks('preInvocation')) {
    invocation.state = 'preInvocationHooks';
    await core.runHooks('preInvocation', before);
  }

  const after: PostInvocation = { hookData, invocationContext: context, inputs: before.inputs, result: null, error: null };
  invocation.state = 'invocation';
  try {
    after.result = await invocationModel.invokeFunction(context, before.inputs, before.functionCallback);
  } catch (error) {
    after.error = error;
  }
  if (core.hasHooks('postInvocation')) {
    invocation.state = 'postInvocationHooks';
    await core.runHooks('postInvocation', after);
  }
  invocation.state = undefined;
  // Whatever was thrown goes on as it is, an `Error` or not.
  if (after.error !== null && after.error !== undefined) return Promise.reject(after.error);
  return invocationModel.getResponse(context, after.result);
}

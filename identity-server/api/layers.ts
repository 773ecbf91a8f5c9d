// What every call passes on its way to a handler, after the guard let it in: wait for its turn, do it, write it down.
import type { DescService } from '@bufbuild/protobuf';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Audit } from './audit.ts';
import type { Caller, Context } from './caller.ts';
import type { Throttle } from './rate-limits.ts';

/** The layers. */
export interface Layers {
  readonly throttle: Throttle;
  /** Absent: nothing is written down. */
  readonly audit?: Audit;
}

type AnyHandler = (request: unknown, context: Context) => Promise<unknown> | AsyncGenerator;

/** The handlers of a service behind the layers. */
export function layered<Service extends DescService>(
  service: Service,
  handlers: Handlers<Service, Caller>,
  layers: Layers,
): Handlers<Service, Caller> {
  const wrapped = service.methods.flatMap(({ localName, methodKind }) => {
    const handler = (handlers as Record<string, AnyHandler | undefined>)[localName];
    if (handler === undefined) return [];
    return [[localName, methodKind === 'unary' ? unary(handler, layers) : streaming(handler, layers)]];
  });
  return Object.fromEntries(wrapped) as Handlers<Service, Caller>;
}

function unary(handler: AnyHandler, { throttle, audit }: Layers): AnyHandler {
  return async (request, context) => {
    try {
      await throttle(context, request);
      const answer = await handler(request, context);
      audit?.(context, request, { answer });
      return answer;
    } catch (error) {
      audit?.(context, request, { error });
      throw error;
    }
  };
}

function streaming(handler: AnyHandler, { throttle, audit }: Layers): AnyHandler {
  return async function* (request, context) {
    let outcome: Parameters<Audit>[2] = { answer: undefined };
    try {
      await throttle(context, request);
      yield* handler(request, context) as AsyncGenerator;
    } catch (error) {
      outcome = { error };
      throw error;
    } finally {
      audit?.(context, undefined, outcome);
    }
  };
}

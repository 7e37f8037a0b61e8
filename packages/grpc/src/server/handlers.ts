import type { EventEmitter } from "node:events";
import type {
  Metadata,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  sendUnaryData,
  ServiceDefinition,
} from "@grpc/grpc-js";
import { StewardError } from "@steward/core";
import { assertShape, func, recognised, recordOf, required, shape } from "@steward/core/driver";

/** What a handler is given about its call, besides the request. */
export interface GrpcCallContext {
  readonly path: string;
  /** What the caller sent along. */
  readonly metadata: Metadata;
  /** Address of the caller. */
  readonly peer: string;
  /** Certificate of the caller, where one was asked for. */
  readonly peerCertificate: { readonly subject: object } | undefined;
  /** Instant by which the answer has to be there, in ms of the clock; `Infinity` when there is none. */
  readonly deadline: number;
  /** Aborts when the caller has gone, time is over, or the stop of the server ends the call. */
  readonly signal: AbortSignal;
  /** Aborts when the server begins to drain: a stream without an end of its own should come to one. */
  readonly draining: AbortSignal;
  /** Sends headers before the first message. */
  sendMetadata(metadata: Metadata): void;
}

type Unary<Request, Response> = (request: Request, call: GrpcCallContext) => Promise<Response> | Response;
type ServerStream<Request, Response> = (request: Request, call: GrpcCallContext) => AsyncIterable<Response>;
type ClientStream<Request, Response> = (requests: AsyncIterable<Request>, call: GrpcCallContext) => Promise<Response>;
type Bidi<Request, Response> = (requests: AsyncIterable<Request>, call: GrpcCallContext) => AsyncIterable<Response>;

/** A handler of grpc-js, as promise or generator. */
type Handler<H> = H extends (call: infer Call, ...rest: infer Rest) => void
  ? Rest extends [callback: sendUnaryData<infer Response>]
    ? Call extends { request: infer Request }
      ? Unary<Request, Response>
      : Call extends ServerReadableStream<infer Request, infer _>
        ? ClientStream<Request, Response>
        : never
    : Call extends {
          request: infer Request;
          write: (chunk: infer Response, callback?: (error: Error | null | undefined) => void) => boolean;
        }
      ? ServerStream<Request, Response>
      : Call extends ServerDuplexStream<infer Request, infer Response>
        ? Bidi<Request, Response>
        : never
  : never;

type KnownKeys<T> = keyof { [K in keyof T as string extends K ? never : number extends K ? never : K]: T[K] };

/** The handlers of a service, from the `XHandlers` that `proto-loader-gen-types` writes: promises and generators instead of callbacks. */
export type GrpcHandlers<Handlers> = { readonly [K in KnownKeys<Handlers>]: Handler<Handlers[K]> };

/** Any of the four kinds, without its types. */
export type AnyHandler = (request: unknown, call: GrpcCallContext) => unknown;

/** A service with its handlers. */
export interface GrpcService {
  readonly definition: ServiceDefinition;
  readonly handlers: ReadonlyMap<string, AnyHandler>;
}

/** A call of grpc-js at the server, of whichever kind: what all have. */
export type ServerCall = Omit<ServerUnaryCall<unknown, unknown>, "request"> & EventEmitter;

const isService = (value: unknown): boolean => {
  const definition: unknown = Object(value) === value ? Reflect.get(value as object, "service") : undefined;
  return typeof definition === "object" && definition !== null;
};

const implementShape = shape<{ readonly service: unknown; readonly handlers: unknown }>(() => ({
  service: required(recognised(isService, "a class of clients that has its service: of loadProto, or generated")),
  handlers: required(recordOf(func())),
}));

/**
 * A service with its handlers: a unary one is an async function, one that streams its answers an async generator, and
 * streamed requests are an async iterable. The type argument is the generated `XHandlers`.
 *
 * @throws {GRPC_METHOD_UNKNOWN} when a handler belongs to no method.
 * @throws {OPTIONS_INVALID} when a handler is no function, or the service is none.
 *
 * @example
 * ```ts fragment
 * import { implement } from "@steward/grpc";
 * import type { RendererHandlers } from "./generated/clips/v1/Renderer.ts";
 * const renderer = implement<RendererHandlers>(types.clips.v1.Renderer, {
 *   Status: async ({ id }) => ({ id, state: "IDLE" }),
 *   Render: async function* ({ id }, { signal }) {
 *     for (let percent = 0; percent <= 100 && !signal.aborted; percent += 10) yield { id, percent };
 *   },
 * });
 * ```
 */
export function implement<Handlers>(
  service: { readonly service: ServiceDefinition },
  handlers: GrpcHandlers<Handlers>,
): GrpcService {
  assertShape("implement()", implementShape, { service, handlers });
  const definition = service.service;
  const given = Object.entries(handlers) as [string, AnyHandler][]; // their types are checked by `GrpcHandlers`
  for (const [name] of given) {
    if (definition[name] !== undefined) continue;
    const known = Object.keys(definition).join(", ");
    throw new StewardError(
      "GRPC_METHOD_UNKNOWN",
      `there is a handler for "${name}", which the service does not have; it has ${known}`,
    );
  }
  return { definition, handlers: new Map(given) };
}

/** `package.Service`, from the path of any of its methods. */
export function nameOf(definition: ServiceDefinition): string {
  return Object.values(definition)[0]?.path.split("/")[1] ?? "";
}

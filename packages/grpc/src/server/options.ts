import type { ServerInterceptor, ServerOptions } from "@grpc/grpc-js";
import {
  countSchema as count,
  functionSchema,
  givenSchema as given,
  msSchema,
  pemSchema,
  type OptionsSchema,
} from "@steward/core/driver";
import type { PackageDefinition } from "@grpc/proto-loader";
import * as v from "valibot";
import { isObject } from "../channel/schema.ts";
import type { GrpcService } from "./handlers.ts";

/** Certificates of a server. All PEM. */
export interface GrpcServerTlsOptions {
  /** Our certificate, with its chain. */
  readonly cert: string | Buffer;
  /** The private key of `cert`. */
  readonly key: string | Buffer;
  /** Authorities of callers. With it, callers must show a certificate of theirs (mutual TLS). */
  readonly ca?: string | Buffer | undefined;
}

/** Options of a gRPC server. Durations are ms. */
export interface GrpcServerOptions {
  /** What it serves, made by `implement`. */
  readonly services: readonly GrpcService[];
  /** Where it listens. Default `127.0.0.1`; `0.0.0.0` for callers elsewhere. */
  readonly host?: string | undefined;
  /** Default 0: any free one. */
  readonly port?: number | undefined;
  /** Default: no TLS. */
  readonly tls?: GrpcServerTlsOptions | undefined;
  /** Definitions of `loadProto` that clients may read by server reflection. Default: none, and no reflection. */
  readonly reflection?: PackageDefinition | undefined;
  /** Longest call whose caller set no deadline, unless it streams its answers, in ms. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Calls that are handled at once. Default 1,000. */
  readonly maxConcurrent?: number | undefined;
  /** Calls that may wait for their turn; one more is answered with RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Calls at once on one connection; a client keeps the others back. Default 1,000. */
  readonly maxStreamsPerConnection?: number | undefined;
  /** Calls that one connection may take back in a second, in the long run; `maxStreamsPerConnection` at once. More end it. Default 100. */
  readonly maxResetsPerSecond?: number | undefined;
  /** Largest message that is accepted, in bytes. Default 4 MiB. */
  readonly maxReceiveBytes?: number | undefined;
  /** Time between HTTP/2 pings that find dead callers, in ms. Default 60,000. */
  readonly keepAliveMs?: number | undefined;
  /** Longest wait for the answer to a ping, in ms. Default 10,000. */
  readonly keepAliveTimeoutMs?: number | undefined;
  /** Age at which a connection is asked to end, so that callers spread over new servers, in ms. Default: none. */
  readonly maxLifetimeMs?: number | undefined;
  /** Interceptors of grpc-js. */
  readonly interceptors?: readonly ServerInterceptor[] | undefined;
  /** Called with handlers' errors that callers only see as INTERNAL. Default: they are only published on `CHANNELS.unhandled`. */
  readonly onError?: ((error: unknown, path: string) => void) | undefined;
  /** Further options of grpc-js; ours win. Channelz is off unless `"grpc.enable_channelz": 1` stands here. */
  readonly serverOptions?: Readonly<ServerOptions> | undefined;
}

const ms = msSchema();

type Defaulted =
  | "host"
  | "port"
  | "timeoutMs"
  | "maxConcurrent"
  | "maxPending"
  | "maxStreamsPerConnection"
  | "maxResetsPerSecond"
  | "maxReceiveBytes"
  | "keepAliveMs"
  | "keepAliveTimeoutMs"
  | "interceptors"
  | "onError";
type Filled = { readonly [K in Defaulted]: NonNullable<GrpcServerOptions[K]> };

const DEFAULTS: Filled = {
  host: "127.0.0.1",
  port: 0,
  timeoutMs: 30_000,
  maxConcurrent: 1_000,
  maxPending: 1_000,
  maxStreamsPerConnection: 1_000,
  maxResetsPerSecond: 100,
  maxReceiveBytes: 4 * 1_048_576,
  keepAliveMs: 60_000,
  keepAliveTimeoutMs: 10_000,
  interceptors: [],
  onError: () => {},
};

/** Options once checked. */
export type CheckedServerOptions = Omit<GrpcServerOptions, Defaulted> & Filled;

/** Checks the options of a gRPC server. */
export const grpcServerSchema: OptionsSchema<CheckedServerOptions> = v.pipe(
  v.strictObject({
    services: v.array(
      given<GrpcService>((value) => isObject(value) && "handlers" in (value as object), "made by implement()"),
    ),
    host: v.optional(v.string()),
    port: v.optional(count(0, 65_535)),
    tls: v.optional(v.strictObject({ cert: pemSchema(), key: pemSchema(), ca: v.optional(pemSchema()) })),
    reflection: v.optional(given<PackageDefinition>(isObject, "the definition that loadProto gives")),
    timeoutMs: v.optional(ms),
    maxConcurrent: v.optional(count(1)),
    maxPending: v.optional(count(0)),
    maxStreamsPerConnection: v.optional(count(1)),
    maxResetsPerSecond: v.optional(count(1)),
    maxReceiveBytes: v.optional(count(1)),
    keepAliveMs: v.optional(ms),
    keepAliveTimeoutMs: v.optional(ms),
    maxLifetimeMs: v.optional(ms),
    interceptors: v.optional(v.array(functionSchema<ServerInterceptor>("an interceptor function"))),
    onError: v.optional(functionSchema<(error: unknown, path: string) => void>()),
    serverOptions: v.optional(given<Readonly<ServerOptions>>(isObject, "options of grpc-js")),
  }),
  v.transform((given) => ({ ...DEFAULTS, ...given }) as CheckedServerOptions), // keys that are undefined were taken out before
);

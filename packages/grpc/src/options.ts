import type { ChannelOptions, Client, Interceptor } from "@grpc/grpc-js";
import type { BreakerOptions, Secret, SecretSource } from "@steward/core";
import {
  breakerSchema,
  countSchema as count,
  eitherSchema as either,
  functionSchema,
  givenSchema as given,
  hasAny,
  hasMethods,
  isFunction,
  msSchema,
  rulesBetween,
  secretSchema,
  tlsSettingsSchema,
  type OptionsRule,
  type OptionsSchema,
  type TlsSettings,
  reconnectSchema,
  type BackoffBounds,
  type ReconnectOptions,
} from "@steward/core/driver";
import * as v from "valibot";
import type { ServiceConstructor } from "./channel/channel.ts";
import type { StatusName } from "./status.ts";
import { hasPorts, isOverheard } from "./channel/hosts.ts";
import { isObject, retryable } from "./channel/schema.ts";

/** Certificates of a client. All PEM. grpc-js opens no encrypted key. */
export type GrpcTlsOptions = Omit<TlsSettings, "passphrase">;

/** Retry by the channel itself, of methods that may be made twice. */
export interface GrpcRetryOptions {
  /** What may be made again: `package.Service` or `package.Service/Method`. */
  readonly methods: readonly string[];
  /** Attempts in all, the first included; 2 to 5. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** Longest first pause, in ms. Default 50. */
  readonly baseDelayMs?: number | undefined;
  /** Longest pause, in ms. Default 2,000. */
  readonly maxDelayMs?: number | undefined;
  /** Statuses that are tried again. Default `UNAVAILABLE`. */
  readonly statuses?: readonly StatusName[] | undefined;
}

/** Hedging by the channel itself: a second attempt is sent beside a slow first one, and the first answer counts. */
export interface GrpcHedgingOptions {
  /** What may be made several times at once: `package.Service` or `package.Service/Method`. */
  readonly methods: readonly string[];
  /** Attempts in all, the first included; 2 to 5. Default 2. */
  readonly maxAttempts?: number | undefined;
  /** Pause before each further attempt, in ms; 0 sends all at once. Default 100. */
  readonly delayMs?: number | undefined;
  /** Statuses after which the other attempts go on. Default `UNAVAILABLE`. */
  readonly nonFatalStatuses?: readonly StatusName[] | undefined;
}

/** What every call carries: fixed, or made for each call by its path, such as `/package.Service/Method`. */
export type GrpcMetadata =
  | Readonly<Record<string, string>>
  | ((path: string) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>);

/** Options of a gRPC channel. Durations are ms. */
export interface GrpcChannelOptions<Service extends Client = Client> {
  /** Where: `host:port`, or any target of grpc-js such as `dns:///host:port` or `unix:/path`. */
  readonly address?: string | undefined;
  /** The class of the service's client; what is handed out is then a client of it. Default: a client without methods, for `as`. */
  readonly service?: ServiceConstructor<Service> | undefined;
  /** `true` for TLS with the system's authorities, or certificates, or a function asked for them at start and at renew. Default: no TLS. */
  readonly tls?: boolean | GrpcTlsOptions | (() => GrpcTlsOptions | Promise<GrpcTlsOptions>) | undefined;
  /** Deadline of calls that bring none, in ms; for streams it bounds only the first answer, behind the last request. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Longest silence in a stream that was answered, in ms. Default: none; a dead connection is noticed all the same. */
  readonly idleTimeoutMs?: number | undefined;
  /** Time without a connection after which the channel is built anew, in ms. Default 2,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Silence, while calls wait, after which a health check goes over the connection; twice that replaces it, and three times ends its calls. In ms. Default 500. */
  readonly silenceMs?: number | undefined;
  /** Pauses between attempts to connect, in ms. Default 100 to 2,000. */
  readonly reconnect?: ReconnectOptions | undefined;
  /** Time between HTTP/2 pings, in ms; servers end connections that ping more often than they allow. Default 300,000, which all allow. */
  readonly keepAliveMs?: number | undefined;
  /** Longest wait for the answer to a ping, in ms. Default 5,000. */
  readonly keepAliveTimeoutMs?: number | undefined;
  /** Pings also while no call runs. Default `false`, as servers ask for. */
  readonly keepAliveWhenIdle?: boolean | undefined;
  /** Calls and streams at once. Default 1,000. */
  readonly maxConcurrent?: number | undefined;
  /** Calls that may wait for a place; one more is refused. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Largest message that is accepted, in bytes. Default 4 MiB. */
  readonly maxReceiveBytes?: number | undefined;
  /** Largest message that is sent, in bytes. Default 4 MiB. */
  readonly maxSendBytes?: number | undefined;
  /** How addresses of one name share the calls. Default `pick_first`. */
  readonly loadBalancing?: "pick_first" | "round_robin" | undefined;
  /** Retry of the methods named. Default: none, but calls that never left are sent again. */
  readonly retry?: GrpcRetryOptions | undefined;
  /** Hedging of the methods named. Default: none. */
  readonly hedging?: GrpcHedgingOptions | undefined;
  /** A gRPC service config as it is, instead of `loadBalancing`, `retry` and `hedging`. */
  readonly serviceConfig?: object | undefined;
  /** What every call carries. Not for credentials: see `authorization`. */
  readonly metadata?: GrpcMetadata | undefined;
  /** The `authorization` of every call; a function is asked for each. */
  readonly authorization?: SecretSource | undefined;
  /** Lets `authorization` go to other machines without TLS. Default `false`: refused, except on this machine. */
  readonly plaintext?: boolean | undefined;
  /** Interceptors of grpc-js, above our part. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Whose health the probe asks for by `grpc.health.v1`. Default: that of the whole server. */
  readonly healthService?: string | undefined;
  /** A circuit breaker: it opens when there is no connection or no answer; other statuses are answers. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Further options of grpc-js; ours win. Channelz is off unless `"grpc.enable_channelz": 1` stands here. */
  readonly channelOptions?: Readonly<ChannelOptions> | undefined;
  /** A client of yours instead of `address`: its channel is looked after, never replaced or closed. */
  readonly client?: Client | undefined;
}

const ms = msSchema();
const RECONNECT: BackoffBounds = { minMs: 100, maxMs: 2_000 };
const methods = v.pipe(
  v.array(v.pipe(v.string(), v.regex(/^[\w.]+(\/\w+)?$/, "must be package.Service or package.Service/Method"))),
  v.minLength(1, "must name what may be repeated"),
);
/** Certificates as they are checked, also when a function gave them. */
export const grpcTlsSchema: OptionsSchema<GrpcTlsOptions> = tlsSettingsSchema("passphrase");

const entries = v.strictObject({
  address: v.optional(
    v.pipe(
      v.string(),
      v.minLength(1, "must be host:port"),
      v.check((text) => !/^https?:/.test(text), "must be host:port without http:// or https://; say tls: true for TLS"),
      v.check(
        (text) => /^unix(-abstract)?:/.test(text) || !text.includes("@"),
        "must be host:port without user or password; give credentials as authorization",
      ),
      v.check(hasPorts, "must have a port of at most 65535"),
    ),
  ),
  service: v.optional(
    given<ServiceConstructor<Client>>(
      (value) => typeof value === "function" && "service" in value,
      "a class of clients that has its service, generated or made by makeClientConstructor",
    ),
  ),
  tls: v.optional(
    either(
      grpcTlsSchema,
      (value) => typeof value === "boolean" || isFunction(value),
      given<boolean | (() => GrpcTlsOptions | Promise<GrpcTlsOptions>)>(() => true, "certificates"),
    ),
  ),
  timeoutMs: v.optional(ms),
  idleTimeoutMs: v.optional(ms),
  connectTimeoutMs: v.optional(ms),
  silenceMs: v.optional(ms),
  reconnect: v.optional(reconnectSchema(RECONNECT)),
  keepAliveMs: v.optional(ms),
  keepAliveTimeoutMs: v.optional(ms),
  keepAliveWhenIdle: v.optional(v.boolean()),
  maxConcurrent: v.optional(count(1)),
  maxPending: v.optional(count(0)),
  maxReceiveBytes: v.optional(count(1)),
  maxSendBytes: v.optional(count(1)),
  loadBalancing: v.optional(v.picklist(["pick_first", "round_robin"])),
  retry: v.optional(
    v.strictObject({
      methods,
      maxAttempts: v.optional(count(2, 5), 3),
      baseDelayMs: v.optional(ms, 50),
      maxDelayMs: v.optional(ms, 2_000),
      statuses: v.optional(retryable, ["UNAVAILABLE"]),
    }),
  ),
  hedging: v.optional(
    v.strictObject({
      methods,
      maxAttempts: v.optional(count(2, 5), 2),
      delayMs: v.optional(msSchema(0), 100),
      nonFatalStatuses: v.optional(retryable, ["UNAVAILABLE"]),
    }),
  ),
  serviceConfig: v.optional(given<object>(isObject, "a service config as an object")),
  metadata: v.optional(
    given<GrpcMetadata>(
      (value) => isFunction(value) || isHeaders(value),
      "names with texts, without authorization (use the option of that name), or a function that gives them",
    ),
  ),
  authorization: v.optional(secretSchema()),
  plaintext: v.optional(v.boolean()),
  interceptors: v.optional(v.array(functionSchema<Interceptor>("an interceptor function"))),
  healthService: v.optional(v.string()),
  breaker: v.optional(breakerSchema()),
  channelOptions: v.optional(given<Readonly<ChannelOptions>>(isObject, "options of grpc-js")),
  client: v.optional(given<Client>((value) => hasMethods(value, "getChannel"), "a client of grpc-js")),
});

function isHeaders(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.entries(value).every(([key, text]) => typeof text === "string" && key.toLowerCase() !== "authorization")
  );
}

const connecting = [
  "address",
  "tls",
  "connectTimeoutMs",
  "silenceMs",
  "reconnect",
  "keepAliveMs",
  "keepAliveTimeoutMs",
  "keepAliveWhenIdle",
  "maxReceiveBytes",
  "maxSendBytes",
  "loadBalancing",
  "retry",
  "hedging",
  "serviceConfig",
  "channelOptions",
] as const;

const RULES: readonly OptionsRule[] = [
  ["address", "is missing: expected host:port, or a client of yours", (given) => !hasAny(given, ["address", "client"])],
  [
    "client",
    `brings its own channel: leave out ${connecting.join(", ")}`,
    (given) => given["client"] !== undefined && hasAny(given, connecting),
  ],
  [
    "authorization",
    "would go to the server in plain text: set tls, or allow that with plaintext: true",
    (given) => given["authorization"] !== undefined && isOverheard(given),
  ],
  [
    "serviceConfig",
    "replaces loadBalancing, retry and hedging: say it all there",
    (given) => given["serviceConfig"] !== undefined && hasAny(given, ["loadBalancing", "retry", "hedging"]),
  ],
];

type Defaulted =
  | "timeoutMs"
  | "idleTimeoutMs"
  | "connectTimeoutMs"
  | "silenceMs"
  | "keepAliveMs"
  | "keepAliveTimeoutMs"
  | "keepAliveWhenIdle"
  | "maxConcurrent"
  | "maxPending"
  | "maxReceiveBytes"
  | "maxSendBytes"
  | "loadBalancing"
  | "interceptors"
  | "healthService";

type Filled = { readonly [K in Defaulted]: NonNullable<GrpcChannelOptions[K]> } & {
  readonly reconnect: BackoffBounds;
};
type AllOf<T> = { readonly [K in keyof T]-?: NonNullable<T[K]> };

/** Options once checked: with defaults, and with secrets wrapped. */
export interface CheckedGrpcOptions
  extends Omit<GrpcChannelOptions, Defaulted | "reconnect" | "authorization" | "retry" | "hedging">, Filled {
  readonly authorization?: Secret | undefined;
  readonly retry?: AllOf<GrpcRetryOptions> | undefined;
  readonly hedging?: AllOf<GrpcHedgingOptions> | undefined;
}

const MIB = 1_048_576;
const DEFAULTS: Filled = {
  timeoutMs: 30_000,
  idleTimeoutMs: Number.POSITIVE_INFINITY,
  connectTimeoutMs: 2_000,
  silenceMs: 500,
  reconnect: RECONNECT,
  keepAliveMs: 300_000,
  keepAliveTimeoutMs: 5_000,
  keepAliveWhenIdle: false,
  maxConcurrent: 1_000,
  maxPending: 1_000,
  maxReceiveBytes: 4 * MIB,
  maxSendBytes: 4 * MIB,
  loadBalancing: "pick_first",
  interceptors: [],
  healthService: "",
};

/** Checks the options of a gRPC channel. */
export const grpcChannelSchema: OptionsSchema<CheckedGrpcOptions> = v.pipe(
  entries,
  rulesBetween(RULES),
  v.transform((given) => ({ ...DEFAULTS, ...given }) as CheckedGrpcOptions), // keys that are undefined were taken out before
);

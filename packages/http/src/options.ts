import { isIP } from "node:net";
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
  shareSchema,
  tlsSettingsSchema,
  type OptionsRule,
  type OptionsSchema,
  type TlsSettings,
} from "@steward/core/driver";
import type { Dispatcher } from "undici";
import * as v from "valibot";
import { isOverheard } from "./exchange/headers.ts";
import type { RetrySettings } from "./exchange/retry.ts";

/** Certificates for TLS. All PEM. The name is that of the origin. */
export type HttpTlsOptions = Omit<TlsSettings, "servername">;

/** When and how often a call is made again. */
export interface HttpRetryOptions {
  /** Attempts in all, the first included; 1 to 10. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** Longest first pause, in ms; doubles each time, drawn at random from 0 up (full jitter). Default 50. */
  readonly baseDelayMs?: number | undefined;
  /** Longest pause, in ms, also where the server asks for a longer one by `Retry-After`. Default 2,000. */
  readonly maxDelayMs?: number | undefined;
  /** Retries per call that an origin gets in the long run; 0 to 1. Default 0.2. */
  readonly budgetRatio?: number | undefined;
  /** Statuses that are asked again, as failures of the network are. Default 429, 502, 503, 504. */
  readonly statuses?: readonly number[] | undefined;
}

/** The proxy through which all connections go, by CONNECT. */
export interface HttpProxyOptions {
  /** `http:` or `https:` URL without credentials. */
  readonly url: string;
  /** Who we are to the proxy. */
  readonly username?: string | undefined;
  /** What proves it; a function is asked for every connection. */
  readonly password?: SecretSource | undefined;
  /** Hosts that are reached directly: `localhost`, `*.internal`. Default none. */
  readonly bypass?: readonly string[] | undefined;
}

/** The proxy as it is once checked. */
export interface ProxySettings {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  readonly bypass: readonly string[];
}

/** Options of an HTTP session. Durations are ms and at least 1; a call is never without a deadline. */
export interface HttpSessionOptions {
  /** What paths are relative to, as in `new URL(path, baseUrl)`. Default: calls give whole URLs. */
  readonly baseUrl?: string | undefined;
  /** Connections, so calls at once, per origin. Default 100. */
  readonly maxConnections?: number | undefined;
  /** Calls that may wait for a connection, per origin; one more is refused. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Origins that are kept in mind at once; beyond that the oldest one not in use makes room. Default 256. */
  readonly maxOrigins?: number | undefined;
  /** Longest call, from being asked for to the last byte of its body, time in the queue and retries included. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Longest wait for response headers once a request is sent, for each attempt; what runs into it can be retried. Default: only `timeoutMs`. */
  readonly headersTimeoutMs?: number | undefined;
  /** Longest silence in the middle of a body; up to a second late. Default 30,000. */
  readonly idleTimeoutMs?: number | undefined;
  /** Longest connect, TLS included. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long an unused connection stays open; a server's shorter hint counts. Default 4,000. */
  readonly idleConnectionTimeoutMs?: number | undefined;
  /** How long a body that fills its buffer may stay unread before its connection is taken back. Default 30,000. */
  readonly unreadBodyTimeoutMs?: number | undefined;
  /** Largest response body in bytes, as sent, and in `fetch` also once decoded. Default: no bound. */
  readonly maxResponseBytes?: number | undefined;
  /** HTTP/2 where a TLS server offers it; up to 100 calls then share a connection. Default `false`. */
  readonly http2?: boolean | undefined;
  /** Headers of every call, unless the call has its own. Not for credentials: see `authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * Sends the id of the request (`x-request-id`) and its trace (`traceparent`) that a call is made for. Default `true`; `false` for
   * origins that are to learn of neither.
   */
  readonly propagate?: boolean | undefined;
  /** The `user-agent` header. Default: none is sent. */
  readonly userAgent?: string | undefined;
  /** The `authorization` header for the origin of `baseUrl`, and no other. A function is asked for every attempt. */
  readonly authorization?: SecretSource | undefined;
  /** Lets `authorization`, of the session, of a call or for the proxy, go to other machines in plain text. Default `false`: refused, except on this machine. */
  readonly plaintext?: boolean | undefined;
  /** Certificates, or a function that loads them: asked at start and at renew. */
  readonly tls?: HttpTlsOptions | (() => HttpTlsOptions | Promise<HttpTlsOptions>) | undefined;
  /** Origins that may be called, such as `https://api.example.com` or `https://*.example.com`. Default: all; an empty list allows none. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** `refuse` connects to public addresses only: checks what the name resolved to, and connects to just that. Default `allow`. */
  readonly privateAddresses?: "allow" | "refuse" | undefined;
  /** Exceptions from `refuse`: addresses or networks such as `10.1.0.0/16`. Default none. */
  readonly allowedAddresses?: readonly string[] | undefined;
  /** Retry of what is safe to repeat; `false` for none. */
  readonly retry?: HttpRetryOptions | false | undefined;
  /** A circuit breaker per origin: it opens when there is no connection or no answer. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Statuses that count as failed in stats and degrade the health of the origin, but never open its breaker; the call gets its answer all the same. Default 502, 503, 504. */
  readonly failureStatuses?: readonly number[] | undefined;
  /** The way out, where there is no direct one. Default: none; the environment is not asked. */
  readonly proxy?: HttpProxyOptions | undefined;
  /** Interceptors of undici around the guard: the first in the list sees a call first. */
  readonly interceptors?: readonly Dispatcher.DispatcherComposeInterceptor[] | undefined;
  /** Names of options of a call that interceptors take, those of `compose` included, such as `retryOptions`; others are refused. Default none. */
  readonly interceptorOptions?: readonly string[] | undefined;
  /** Asked by the probe, on a connection of its own; a status of 400 or more is a failure. Default: only origins whose calls fail or hang are asked, with `HEAD /`. */
  readonly probeUrl?: string | undefined;
  /** A dispatcher of yours instead of our connections: looked after, never closed. */
  readonly client?: Dispatcher | undefined;
}

const ms = msSchema();

const httpUrl: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.check((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), "must be an http: or https: URL"),
  v.check(
    (text) => !URL.canParse(text) || new URL(text).username + new URL(text).password === "",
    "must not hold credentials",
  ),
);

const originPattern: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.check(
    (text) => isOriginPattern(text),
    "must be an origin such as https://api.example.com or https://*.example.com",
  ),
);

const network: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.check((text) => isNetwork(text), "must be an address or a network such as 10.1.0.0/16"),
);

const credentials = new Set(["authorization", "cookie", "proxy-authorization"]);

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;
const isHeaderValue = (text: string): boolean => /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(text);

const headers: v.GenericSchema<unknown, Record<string, string>> = v.pipe(
  // A Map or a Headers has no names of its own, and would send nothing.
  v.custom<Record<string, unknown>>(isPlain, "must be an object of names and values"),
  v.record(v.string(), v.string()),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const [name, value] of Object.entries(dataset.value))
      if (!TOKEN.test(name)) addIssue({ message: `${JSON.stringify(name)} is no name of a header` });
      else if (!isHeaderValue(value))
        addIssue({ message: `the value of ${JSON.stringify(name)} holds what a header cannot` });
  }),
  v.check(
    (given) => Object.keys(given).every((name) => !credentials.has(name.toLowerCase())),
    "holds credentials that would go to every origin; use authorization, which goes to that of baseUrl only",
  ),
);

/** Certificates as they are checked, also when a function gave them. */
export const tlsSchema: OptionsSchema<HttpTlsOptions> = tlsSettingsSchema("servername");

type TlsSource = () => HttpTlsOptions | Promise<HttpTlsOptions>;

const retrySchema: v.GenericSchema<unknown, RetrySettings> = v.strictObject({
  maxAttempts: v.optional(count(1, 10), 3),
  baseDelayMs: v.optional(ms, 50),
  maxDelayMs: v.optional(ms, 2_000),
  budgetRatio: v.optional(shareSchema(true), 0.2),
  statuses: v.optional(v.array(count(400, 599)), [429, 502, 503, 504]),
});

const proxySchema: v.GenericSchema<unknown, ProxySettings> = v.strictObject({
  url: httpUrl,
  username: v.optional(v.string()),
  password: v.optional(secretSchema()),
  bypass: v.optional(v.array(v.string()), []),
});

const interceptor = functionSchema<Dispatcher.DispatcherComposeInterceptor>("an interceptor function");

/** Defaults come in last, so that rules between options can see what was given. */
const entries = v.strictObject({
  baseUrl: v.optional(httpUrl),
  maxConnections: v.optional(count(1)),
  maxPending: v.optional(count(0)),
  maxOrigins: v.optional(count(1)),
  timeoutMs: v.optional(ms),
  headersTimeoutMs: v.optional(ms),
  idleTimeoutMs: v.optional(ms),
  connectTimeoutMs: v.optional(ms),
  idleConnectionTimeoutMs: v.optional(ms),
  unreadBodyTimeoutMs: v.optional(ms),
  maxResponseBytes: v.optional(count(1)),
  http2: v.optional(v.boolean()),
  headers: v.optional(headers),
  propagate: v.optional(v.boolean()),
  userAgent: v.optional(v.pipe(v.string(), v.check(isHeaderValue, "holds what a header cannot"))),
  authorization: v.optional(secretSchema()),
  plaintext: v.optional(v.boolean()),
  tls: v.optional(either(tlsSchema, isFunction, functionSchema<TlsSource>("a function that loads certificates"))),
  allowedOrigins: v.optional(v.array(originPattern)),
  privateAddresses: v.optional(v.picklist(["allow", "refuse"])),
  allowedAddresses: v.optional(v.array(network)),
  retry: v.optional(
    either(retrySchema, (value) => value === false, v.literal(false)),
    {},
  ),
  breaker: v.optional(breakerSchema()),
  failureStatuses: v.optional(v.array(count(400, 599))),
  proxy: v.optional(proxySchema),
  interceptors: v.optional(v.array(interceptor)),
  interceptorOptions: v.optional(v.array(v.string())),
  probeUrl: v.optional(httpUrl),
  client: v.optional(given<Dispatcher>((value) => hasMethods(value, "dispatch"), "a dispatcher of undici")),
});

/** Options that connections are made with, which a dispatcher of one's own brings along. */
export const OF_CONNECTIONS: readonly string[] = [
  "connectTimeoutMs",
  "idleConnectionTimeoutMs",
  "http2",
  "tls",
  "proxy",
  "privateAddresses",
  "allowedAddresses",
];

const RULES: readonly OptionsRule[] = [
  [
    "client",
    `brings its own connections: leave out ${OF_CONNECTIONS.join(", ")}`,
    (given) => given["client"] !== undefined && hasAny(given, OF_CONNECTIONS),
  ],
  [
    "authorization",
    "needs baseUrl: it goes to that origin only",
    (given) => given["authorization"] !== undefined && given["baseUrl"] === undefined,
  ],
  [
    "authorization",
    "would go to baseUrl in plain text: give it an https: URL, or allow that with plaintext: true",
    (given) => given["authorization"] !== undefined && given["plaintext"] !== true && leads(given["baseUrl"]),
  ],
  [
    "proxy",
    "would be sent its password in plain text: give it an https: URL, or allow that with plaintext: true",
    (given) => given["plaintext"] !== true && asksPlainly(given["proxy"]),
  ],
  [
    "privateAddresses",
    "cannot be refused behind a proxy: it resolves the names, not we",
    (given) => given["privateAddresses"] === "refuse" && given["proxy"] !== undefined,
  ],
  [
    "allowedAddresses",
    'are exceptions from privateAddresses: "refuse"',
    (given) => given["allowedAddresses"] !== undefined && given["privateAddresses"] !== "refuse",
  ],
  [
    "headersTimeoutMs",
    "must not be longer than timeoutMs",
    (given) => Number(given["headersTimeoutMs"] ?? 0) > Number(given["timeoutMs"] ?? DEFAULTS.timeoutMs),
  ],
];

/** Whether it is a URL whose host hears what others hear too. */
function leads(url: unknown): boolean {
  return typeof url === "string" && URL.canParse(url) && isOverheard(url);
}

function asksPlainly(proxy: unknown): boolean {
  return typeof proxy === "object" && proxy !== null && "password" in proxy && "url" in proxy && leads(proxy.url);
}

type Defaulted =
  | "plaintext"
  | "propagate"
  | "maxConnections"
  | "maxPending"
  | "maxOrigins"
  | "timeoutMs"
  | "idleTimeoutMs"
  | "connectTimeoutMs"
  | "idleConnectionTimeoutMs"
  | "unreadBodyTimeoutMs"
  | "http2"
  | "headers"
  | "failureStatuses"
  | "privateAddresses"
  | "allowedAddresses"
  | "interceptors"
  | "interceptorOptions";

type Filled = { readonly [K in Defaulted]: NonNullable<HttpSessionOptions[K]> };

/** Options as they are once checked: with defaults, and with secrets wrapped. */
export interface CheckedHttpOptions
  extends Omit<HttpSessionOptions, Defaulted | "authorization" | "retry" | "proxy">, Filled {
  readonly authorization?: Secret | undefined;
  readonly retry: RetrySettings | false;
  readonly proxy?: ProxySettings | undefined;
}

const DEFAULTS: Filled = {
  plaintext: false,
  propagate: true,
  maxConnections: 100,
  maxPending: 1_000,
  maxOrigins: 256,
  timeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  connectTimeoutMs: 5_000,
  idleConnectionTimeoutMs: 4_000,
  unreadBodyTimeoutMs: 30_000,
  http2: false,
  headers: {},
  failureStatuses: [502, 503, 504],
  privateAddresses: "allow",
  allowedAddresses: [],
  interceptors: [],
  interceptorOptions: [],
};

/** Checks the options of an HTTP session. */
export const httpSchema: OptionsSchema<CheckedHttpOptions> = v.pipe(
  entries,
  rulesBetween(RULES),
  v.transform((given) => ({ ...DEFAULTS, ...given }) as CheckedHttpOptions), // keys that are undefined were taken out before
);

function isPlain(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(Symbol.iterator in value);
}

function isOriginPattern(text: string): boolean {
  const plain = text.replace("://*.", "://");
  if (!/^https?:[^*]*$/.test(plain) || !URL.canParse(plain)) return false;
  return new URL(plain).origin === plain.replace(/\/$/, "");
}

function isNetwork(text: string): boolean {
  const [address = "", bits] = text.split("/");
  const version = isIP(address);
  return version !== 0 && (bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)));
}

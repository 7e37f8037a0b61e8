import type { BreakerOptions } from "@steward/core";
import {
  breakerSchema,
  countSchema,
  functionSchema,
  givenSchema,
  hasMethods,
  msSchema,
  tlsSettingsSchema,
  type OptionsSchema,
  type TlsSettings,
  reconnectSchema,
  type BackoffBounds,
  type ReconnectOptions,
} from "@steward/core/driver";
import * as v from "valibot";
import type { WebSocket } from "ws";
import type { SessionTarget } from "./client/client.ts";
import type { HeadersSource } from "./client/connection/dial.ts";
import type { ResumeHook } from "./client/plan.ts";
import { overheard } from "./client/connection/plaintext.ts";
import { jsonCalls, type CallProtocol } from "./wire/protocol.ts";

/** Where sessions lead, and how they behave when the network does not. */
export interface WebSocketSessionOptions {
  /** `ws://` or `wss://`; several are tried in turn, the next one when the last one failed or went silent. This or `client`. */
  readonly url?: string | readonly string[] | undefined;
  /** Subprotocols to offer, the preferred one first. Default none. */
  readonly protocols?: readonly string[] | undefined;
  /** Headers of the handshake. Default none. */
  readonly headers?: HeadersSource | undefined;
  /** Whether the handshake of a connection that a request asks for carries its `x-request-id` and `traceparent`, unless `headers` has its own. Default `true`. */
  readonly propagate?: boolean | undefined;
  /** Lets `authorization`, and a user and password in `url`, go to another machine over `ws:`. Default `false`. */
  readonly plaintext?: boolean | undefined;
  /** Certificates. Default: the system's. */
  readonly tls?: TlsSettings | undefined;
  /** Compresses messages; costs CPU, and memory for each connection. Default `false`. */
  readonly deflate?: boolean | undefined;
  /** Largest message that is accepted. Default 16 MiB. */
  readonly maxPayloadBytes?: number | undefined;
  /** Longest connect: name, TCP, TLS, handshake. Default 1,500. */
  readonly connectTimeoutMs?: number | undefined;
  /** Deadline of a call until its reply, or until the other side says that it works on it; of a send until the system has taken it. Default 2,000. */
  readonly timeoutMs?: number | undefined;
  /** Deadline of a call from when the other side said that it works on it. Default 30,000. */
  readonly ackedTimeoutMs?: number | undefined;
  /** Silence while replies or writes are owed, after which the other side is pinged. Default 500. */
  readonly silenceMs?: number | undefined;
  /** The same while nothing is owed. Default 15,000. */
  readonly heartbeatMs?: number | undefined;
  /** Time to answer a ping, after which the connection is ended. While calls of the main session get no reply, the server is asked over a new one after half of it. Default 1,000. */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** Pauses between attempts to reconnect, drawn from 0 up; `maxMs` is also the spread when a server says that it goes away. Default 100 to 1,000; more where clients are many. */
  readonly reconnect?: ReconnectOptions | undefined;
  /** While there is no connection, sends and calls are refused (`reject`, default), or `wait` within their deadlines and the bounds below. */
  readonly offline?: "reject" | "wait" | undefined;
  /** Messages of a session that the system has not taken yet. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Their bytes. Default 1 MiB. */
  readonly maxPendingBytes?: number | undefined;
  /** Calls without a reply, of all sessions. Default 10,000. */
  readonly maxConcurrent?: number | undefined;
  /** A circuit breaker for calls: it opens when there is no reply in time or connections break; errors that the other side answers do not count. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Messages that a `for await` may be behind before the socket is paused. Default 1,000. */
  readonly maxUnread?: number | undefined;
  /** Sessions, the main one included. Default 100. */
  readonly maxSessions?: number | undefined;
  /** Time without a message after which a named session without a listener is closed; 0 for never. Default 300,000. */
  readonly idleSessionTimeoutMs?: number | undefined;
  /** How long the other side may take to say goodbye. Default 1,000. */
  readonly closeTimeoutMs?: number | undefined;
  /** Called on every new connection before anything else is sent; has `connectTimeoutMs`, without the time of its own sends and calls. Default none. */
  readonly resume?: ResumeHook | undefined;
  /** A socket of yours (of `ws`) instead of `url`: looked after, never replaced or closed. */
  readonly client?: WebSocket | undefined;
  /** How calls are written. Default: what hubs of this package speak. */
  readonly protocol?: CallProtocol | undefined;
}

type Optional = "headers" | "tls" | "resume" | "client";

/** Options with their defaults. */
export type WebSocketSettings = {
  readonly [K in Exclude<keyof WebSocketSessionOptions, Optional | "url" | "reconnect">]-?: Exclude<
    WebSocketSessionOptions[K],
    undefined
  >;
} & Pick<WebSocketSessionOptions, Optional> & { readonly url: readonly string[]; readonly reconnect: BackoffBounds };

const duration = msSchema();
const durationOrNone = msSchema(0);

const isUrl = (text: string): boolean => URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol);
const hasFragment = (text: string): boolean => URL.canParse(text) && new URL(text).hash !== "";

const url: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.check(isUrl, "must be a ws: or wss: URL"),
  v.check((text) => !hasFragment(text), "must not have a fragment"),
);

/** One URL or several, as a list. */
const urls: v.GenericSchema<unknown, readonly string[]> = v.pipe(
  v.union([url, v.pipe(v.array(url), v.nonEmpty("needs at least one URL"))]),
  v.transform((given) => (typeof given === "string" ? [given] : given)),
);

const protocols = v.array(v.pipe(v.string(), v.regex(/^[!#$%&'*+.^_`|~\w-]+$/, "is no subprotocol name")));
const headers = v.union([v.record(v.string(), v.string()), functionSchema<() => Record<string, string>>()]);

/** Where a named session leads, with its URLs as a list. */
export type CheckedTarget = Omit<SessionTarget, "url"> & { readonly url?: readonly string[] | undefined };

/** Checks where a named session leads. */
export const targetSchema: OptionsSchema<CheckedTarget> = v.strictObject({
  url: v.optional(urls),
  protocols: v.optional(protocols),
  headers: v.optional(headers),
});

const protocol = givenSchema<CallProtocol>(
  (given) => hasMethods(given, "encode", "decode"),
  "an object with encode(id, body) and decode(data, isBinary)",
);

/** Those of a function are known at a connect only, and looked at there. */
const ofRecord = (headers: HeadersSource | undefined): Readonly<Record<string, string>> =>
  typeof headers === "object" ? headers : {};

/** Options that connections are made with, and their defaults: a socket of one's own brings them along. */
const OF_CONNECTIONS = {
  url: [],
  protocols: [],
  headers: undefined,
  propagate: true,
  plaintext: false,
  tls: undefined,
  deflate: false,
  maxPayloadBytes: 16 * 1_048_576,
  connectTimeoutMs: 1_500,
  reconnect: { minMs: 100, maxMs: 1_000 },
  closeTimeoutMs: 1_000,
};

/** Checks the options of sessions. */
export const webSocketSchema: OptionsSchema<WebSocketSettings> = v.pipe(
  v.strictObject({
    url: v.optional(urls),
    client: v.optional(
      givenSchema<WebSocket>((given) => hasMethods(given, "send", "ping", "terminate", "on"), "a WebSocket of ws"),
    ),
    protocols: v.optional(protocols),
    headers: v.optional(headers),
    propagate: v.optional(v.boolean()),
    plaintext: v.optional(v.boolean()),
    tls: v.optional(tlsSettingsSchema()),
    deflate: v.optional(v.boolean()),
    maxPayloadBytes: v.optional(countSchema(1)),
    connectTimeoutMs: v.optional(duration),
    timeoutMs: v.optional(duration, 2_000),
    ackedTimeoutMs: v.optional(duration, 30_000),
    silenceMs: v.optional(duration, 500),
    heartbeatMs: v.optional(duration, 15_000),
    heartbeatTimeoutMs: v.optional(duration, 1_000),
    reconnect: v.optional(reconnectSchema(OF_CONNECTIONS.reconnect)),
    offline: v.optional(v.picklist(["reject", "wait"]), "reject"),
    maxPending: v.optional(countSchema(1), 1_000),
    maxPendingBytes: v.optional(countSchema(1), 1_048_576),
    maxConcurrent: v.optional(countSchema(1), 10_000),
    breaker: v.optional(breakerSchema(), {}),
    maxUnread: v.optional(countSchema(1), 1_000),
    maxSessions: v.optional(countSchema(1), 100),
    idleSessionTimeoutMs: v.optional(durationOrNone, 300_000),
    closeTimeoutMs: v.optional(duration),
    resume: v.optional(functionSchema<ResumeHook>()),
    protocol: v.optional(protocol, jsonCalls),
  }),
  v.check((o) => o.url !== undefined || o.client !== undefined, "url is missing: expected a URL, or a client of yours"),
  v.check(
    (o) => o.client === undefined || !Object.keys(OF_CONNECTIONS).some((key) => key in o),
    `client brings its own connection: leave out ${Object.keys(OF_CONNECTIONS).join(", ")}`,
  ),
  v.transform((given) => ({ ...OF_CONNECTIONS, ...given }) as WebSocketSettings), // keys that are undefined were taken out before
  v.check(
    ({ tls, url, client }) => tls === undefined || client !== undefined || url.some((one) => one.startsWith("wss:")),
    "tls needs a wss: URL",
  ),
  v.check(
    ({ url, headers, plaintext }) => plaintext || !url.some((one) => overheard(one, ofRecord(headers)) !== undefined),
    "credentials would go to another machine in plain text: use wss:, or allow that with plaintext: true",
  ),
);

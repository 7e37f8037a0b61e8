import type { IncomingMessage } from "node:http";
import type { Clock, PubSub, StewardError } from "@steward/core";
import {
  countSchema,
  functionSchema,
  givenSchema,
  hasMethods,
  msSchema,
  textSchema,
  type OptionsSchema,
} from "@steward/core/driver";
import * as v from "valibot";
import type { UpgradeServer } from "./upgrades.ts";
import type { Backpressure, HubSocket } from "./socket.ts";

/** What a handler of calls is given. */
export interface CallContext<User> {
  readonly socket: HubSocket<User>;
  readonly user: User | undefined;
  /** Lets the caller know that its call is worked on, so that it waits longer for the reply. */
  ack(): void;
}

/** Who may connect, what is done with messages, and how much of anything there may be. */
export interface WebSocketHubOptions<User = unknown> {
  /** The HTTP server whose upgrades it takes. Default none: see `attach` and `handleUpgrade` of the hub. */
  readonly server?: UpgradeServer | undefined;
  /** Only upgrades of that path. Default: all that no other hub of the server takes. */
  readonly path?: string | undefined;
  /** Says who connects; `undefined` refuses with 401, an error with 503. Default: every client may, none has a name. */
  readonly authenticate?:
    | ((request: IncomingMessage, signal: AbortSignal) => User | undefined | Promise<User | undefined>)
    | undefined;
  /** Longest authentication. Default 5,000. */
  readonly authenticateTimeoutMs?: number | undefined;
  /** Origins of pages that may connect, such as `https://app.example.com`, or `*` for all. Default: the host's own, by the same scheme. Programs send no origin. */
  readonly origins?: readonly string[] | undefined;
  /**
   * Hosts that the hub answers for besides this machine and addresses, without ports: as `hosts` of the server packages.
   * Default: any.
   */
  readonly hosts?: readonly string[] | undefined;
  /** Subprotocols that are spoken; the first that is offered and listed here is taken. Default none. */
  readonly protocols?: readonly string[] | undefined;
  /** Answers calls; what it returns is the reply. Default: calls are refused. */
  readonly call?: ((body: unknown, context: CallContext<User>) => unknown) | undefined;
  /** Whether a socket may join a room when its client asks to. Default: none may. */
  readonly authorize?: ((room: string, socket: HubSocket<User>) => boolean | Promise<boolean>) | undefined;
  /** Name under which a socket is present in its rooms. Default: presence is off. */
  readonly identify?: ((socket: HubSocket<User>) => string | undefined) | undefined;
  /** Sockets at once, those that still authenticate included. Default 20,000. */
  readonly maxSockets?: number | undefined;
  /** Largest message that is accepted; a larger one ends its socket with 1009. Default 1 MiB. */
  readonly maxPayloadBytes?: number | undefined;
  /** Messages that a socket may send in the long run; 0 for any number. More end it with 1008. Default 100. */
  readonly messagesPerSecond?: number | undefined;
  /** Messages that it may send at once. Default 200. */
  readonly messageBurst?: number | undefined;
  /** Rooms that a client may join on one socket; one more is refused. What the server itself joins does not count. Default 100. */
  readonly maxRooms?: number | undefined;
  /** Longest name of a room that a client may ask for, in bytes. Default 256. */
  readonly maxRoomNameBytes?: number | undefined;
  /** Calls of a socket that are worked on; at that number it is not read any more. Default 100. */
  readonly maxCalls?: number | undefined;
  /** Bytes that may wait for a peer that reads too slowly. Default 1 MiB. */
  readonly maxBufferedBytes?: number | undefined;
  /**
   * Beyond that a message is dropped (`drop`, default; rooms are notified of the gap), kept as the newest of its key
   * (`coalesce`), or the socket is ended (`close`).
   */
  readonly backpressure?: Backpressure | undefined;
  /** How often a sign of life is asked for; a socket without one until the next time is ended. Default 15,000. */
  readonly heartbeatMs?: number | undefined;
  /** Over what time the sockets are closed in a drain, each at random. Default 2,000. */
  readonly drainSpreadMs?: number | undefined;
  /** How long a peer may take to say goodbye. Default 1,000. */
  readonly closeTimeoutMs?: number | undefined;
  /** Compresses messages to single sockets; costs CPU, and memory for each. Default `false`. */
  readonly deflate?: boolean | undefined;
  /** Broker that carries rooms and presence to other instances. Default none: this one is alone. */
  readonly pubSub?: PubSub | undefined;
  /** Begin of the broker's topics; instances with the same one are one hub. Default `steward:hub`. */
  readonly topic?: string | undefined;
  /** Messages kept of each room for those who come back; 0 for none. Default 50. */
  readonly historySize?: number | undefined;
  /** Rooms with history. Default 1,000. */
  readonly historyRooms?: number | undefined;
  /** Puts the trace that a message was published in behind it, as `trace`: what our sessions do with it belongs to that trace. Default `false`: clients learn of none. */
  readonly trace?: boolean | undefined;
  /** How often instances announce to each other who is present. Default 5,000. */
  readonly presenceMs?: number | undefined;
}

type Optional = "server" | "path" | "authenticate" | "origins" | "hosts" | "call" | "authorize" | "identify" | "pubSub";

/** Options with their defaults. */
export type WebSocketHubSettings<User = unknown> = {
  readonly [K in Exclude<keyof WebSocketHubOptions, Optional>]-?: Exclude<WebSocketHubOptions[K], undefined>;
} & Pick<WebSocketHubOptions<User>, Optional>;

/** An object with those methods. */
function having<T>(names: readonly string[], what: string): v.GenericSchema<unknown, T> {
  return givenSchema((given) => hasMethods(given, ...names), what);
}

type Given = WebSocketHubOptions;
type Function_<K extends keyof Given> = Exclude<Given[K], undefined>;

const duration = msSchema();
const durationOrNone = msSchema(0);

/** Checks the options of a hub. */
export const webSocketHubSchema: OptionsSchema<WebSocketHubSettings> = v.pipe(
  v.strictObject({
    server: v.optional(having<UpgradeServer>(["on", "off", "listenerCount"], "an HTTP server")),
    path: v.optional(v.pipe(v.string(), v.regex(/^\/[^?#]*$/, "must begin with / and have no query"))),
    authenticate: v.optional(functionSchema<Function_<"authenticate">>()),
    authenticateTimeoutMs: v.optional(duration, 5_000),
    origins: v.optional(v.array(v.string())),
    hosts: v.optional(v.array(textSchema())),
    protocols: v.optional(v.array(v.string()), []),
    call: v.optional(functionSchema<Function_<"call">>()),
    authorize: v.optional(functionSchema<Function_<"authorize">>()),
    identify: v.optional(functionSchema<Function_<"identify">>()),
    maxSockets: v.optional(countSchema(1), 20_000),
    maxPayloadBytes: v.optional(countSchema(1), 1_048_576),
    messagesPerSecond: v.optional(v.pipe(v.number(), v.minValue(0, "must be at least 0")), 100),
    messageBurst: v.optional(countSchema(1), 200),
    maxRooms: v.optional(countSchema(1), 100),
    maxRoomNameBytes: v.optional(countSchema(1), 256),
    maxCalls: v.optional(countSchema(1), 100),
    maxBufferedBytes: v.optional(countSchema(1), 1_048_576),
    backpressure: v.optional(v.picklist(["drop", "coalesce", "close"]), "drop"),
    heartbeatMs: v.optional(duration, 15_000),
    drainSpreadMs: v.optional(durationOrNone, 2_000),
    closeTimeoutMs: v.optional(duration, 1_000),
    deflate: v.optional(v.boolean(), false),
    pubSub: v.optional(having<PubSub>(["publish", "subscribe"], "a PubSub")),
    topic: v.optional(textSchema(), "steward:hub"),
    historySize: v.optional(countSchema(0), 50),
    historyRooms: v.optional(countSchema(1), 1_000),
    presenceMs: v.optional(duration, 5_000),
    trace: v.optional(v.boolean(), false),
  }),
);

/** What a hub needs besides its options. */
export interface HubPlan<User> {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: WebSocketHubSettings<User>;
  readonly refusal: () => StewardError | undefined;
}

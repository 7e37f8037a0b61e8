import type { EventEmitter } from "node:events";
import type { Definition } from "@steward/core";
import type { AnyDefinition, Need, Needs } from "@steward/core/container";

/** A route that the suite wants a server to have. */
export interface SuiteRoute {
  readonly method: "GET" | "POST";
  /** Parts that begin with a colon have names, as in `/hello/:name`. */
  readonly path: string;
  readonly needs: Needs;
  /** Called with the values of the needs; what it gives is the answer. */
  readonly answer: (values: never) => unknown;
  /** Options of its handler. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Bounds that the suite wants a server to have. */
export interface SuiteSettings {
  /** How long a request may take until it is answered with 504, in ms. */
  readonly timeoutMs: number;
  /** How long closing may take, in ms. */
  readonly closeTimeoutMs: number;
  /** How long a request may take to arrive, in ms. */
  readonly requestTimeoutMs: number;
  /** How long a client may take nothing of its answer, in ms. */
  readonly stallTimeoutMs: number;
  /** Longest body, in bytes. */
  readonly maxBodyBytes: number;
  /** Hosts that it answers for; any by default. */
  readonly hosts?: readonly string[];
}

/** A server that listens. */
export interface SuiteServer {
  readonly url: string;
  /** Node's own. */
  readonly server: Pick<EventEmitter, "on">;
  /** Numbers of what goes on. */
  stats(): { readonly openRequests: number; readonly releasing: number };
}

/** Makes an input of a request. */
type Maker = (name: string, schema?: Readonly<Record<string, unknown>>) => AnyDefinition;

/** How the suite gets at the server that it examines. Everything is what the package's users have too. */
export interface ServerAdapter {
  /** `container` of `@steward/container`. */
  readonly container: (roots: readonly AnyDefinition[]) => {
    start(): Promise<{ stop(): Promise<unknown> }>;
  };
  /** `from` of the package. */
  readonly from: {
    readonly query: Maker;
    readonly path: Maker;
    readonly header: Maker;
    readonly body: Maker;
    readonly form: Maker;
    readonly file: Maker;
    readonly bearer: () => AnyDefinition;
    readonly basic: () => AnyDefinition;
    readonly apiKey: (place: "header" | "query" | "cookie", name: string) => AnyDefinition;
    readonly background: AnyDefinition;
    readonly signal: AnyDefinition;
  };
  /** `HttpError` of the package. */
  readonly HttpError: new (status: number, detail: string) => Error;
  /** `security` of the package. */
  readonly security: (definition: never, scopes: readonly string[]) => Need;
  /** `principal` of the package. */
  readonly principal: (auth: never, options: { readonly name?: string; readonly session?: never }) => AnyDefinition;
  /** `cookieSession` of the package. */
  readonly cookieSession: (auth: never) => AnyDefinition;
  /** `sessionPrincipal` of the package. */
  readonly sessionPrincipal: (session: never) => AnyDefinition;
  /** `csrf` of the package. */
  readonly csrf: (options: { readonly origins: readonly string[] }) => AnyDefinition;
  /** `memoryIdempotency` of `@steward/server`. */
  readonly idempotency: () => unknown;
  /** `stream` of the package. */
  readonly stream: (parts: AsyncIterable<string>, options?: { readonly through?: TransformStream }) => unknown;
  /** Defines a server with these routes. Problems, request ids and health are on, as by default. */
  readonly server: (
    routes: readonly SuiteRoute[],
    settings: SuiteSettings,
  ) => Definition<SuiteServer, "application", never>;
  /** Answers that the framework gives by its own nature, where they differ. */
  readonly nature?: {
    /** Status of a POST; NestJS has 201. Default 200. */
    readonly created?: number;
    /** Where its OpenAPI document is, if it has one. */
    readonly document?: string;
  };
}

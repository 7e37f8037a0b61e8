import type { StewardError } from "@steward/core";
import type { AnyDefinition, Need, Needs } from "@steward/core/container";
import { anything, assertShape, shape, type Shape } from "@steward/core/driver";
import { serverError } from "../../errors.ts";
import type { ForeignErrors } from "../../problem/problem.ts";
import type { HandlerSpec } from "../../route/handler-spec.ts";
import { assertNeeds } from "../../route/needs.ts";
import { rootOf } from "../../route/root.ts";
import { NodeApp, type NodeRoute } from "../app.ts";
import {
  settingRules,
  sourceBetween,
  sourceOf,
  sourceRules,
  type ContainerSource,
  type GivenSource,
  type NodeSettings,
} from "../settings.ts";
import { specIn } from "./marked.ts";

/** Options of a framework's `steward(app, options)`. */
export type JoinOptions<Request> = ContainerSource &
  NodeSettings<Request> & {
    /** Dependencies of every handler with needs, resolved before its own, for what they do. */
    readonly dependencies?: Needs;
  };

interface Given extends NodeSettings, GivenSource {
  readonly dependencies?: Needs;
}

const joinShape: Shape<Given> = shape<Given>(
  () => ({ ...settingRules(), ...sourceRules(), dependencies: anything() }), // these are checked below
  ...sourceBetween,
);

/** One function that a framework's app calls for requests. */
export interface AppHandler {
  /** Method and path, for errors. */
  readonly name: string;
  readonly handle: unknown;
}

/** What an adapter knows of its framework. */
export interface Framework<App> {
  /** Every function of the app's routes; those that `marked` has noted are looked at. */
  readonly handlers: (app: App) => Iterable<AppHandler>;
  /** What is known of the errors of the framework. */
  readonly foreign?: ForeignErrors;
  /** Whether the app takes the address of a client from whatever the client says. */
  readonly trustsEverybody?: (app: App) => boolean;
  /** Ends the app, once its requests have ended. */
  readonly close?: (app: App) => Promise<unknown>;
}

const JOINED = Symbol.for("steward.app"); // one symbol for all copies

/** An app of a framework, joined with a container: what its requests share, and its handlers once they are compiled. */
export class JoinedApp extends NodeApp {
  readonly #outer: readonly Need[];
  readonly #routes = new Map<HandlerSpec, NodeRoute>();
  readonly #handlers: () => Iterable<AppHandler>;
  readonly #close: (() => Promise<unknown>) | undefined;

  /** @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
  constructor(
    source: JoinOptions<never>,
    foreign: ForeignErrors | undefined,
    handlers: () => Iterable<AppHandler>,
    trustsEverybody: (() => boolean) | undefined,
    close: (() => Promise<unknown>) | undefined,
  ) {
    assertJoin(source);
    super(sourceOf(source), source, foreign, trustsEverybody);
    const { dependencies = {} } = source;
    assertNeeds("routes (`dependencies`)", dependencies);
    this.#outer = Object.values<Need>(dependencies);
    this.#handlers = handlers;
    this.#close = close;
  }

  /** A handler of this app, compiled. */
  routeOf(spec: HandlerSpec): NodeRoute {
    let route = this.#routes.get(spec);
    if (route === undefined) this.#routes.set(spec, (route = this.route(spec, this.#outer)));
    return route;
  }

  /** Compiles all handlers, so that a wrong graph is found before requests come. Gives what a container has to hold for them. */
  compile(): readonly AnyDefinition[] {
    const roots = new Map<HandlerSpec, AnyDefinition>();
    for (const { name, handle } of this.#handlers()) {
      const spec = specIn(handle);
      if (spec === undefined || roots.has(spec)) continue;
      this.routeOf(spec);
      roots.set(spec, rootOf(name, this.#outer, spec));
    }
    return [...roots.values()];
  }

  /** Starts the container, if it is this app's own; it holds what the handlers need. */
  override start(): Promise<void> {
    return super.start(this.compile());
  }

  /** Waits for what is left of requests, then ends the app and stops the container, if that is this app's own. */
  override async stop(timeoutMs?: number): Promise<void> {
    try {
      await super.stop(timeoutMs);
    } finally {
      await this.#close?.();
    }
  }
}

/** Checks what {@link join} is going to be given. @throws {OPTIONS_INVALID} when an option is unknown or wrong. */
export function assertJoin(options: JoinOptions<never>): void {
  assertShape("steward", joinShape, options as JoinOptions<never> & GivenSource);
}

/** Joins a container with an app. */
export function join<App extends object>(
  app: App,
  options: JoinOptions<never>,
  { handlers, foreign, trustsEverybody, close }: Framework<App>,
): JoinedApp {
  const trusting = trustsEverybody === undefined ? undefined : () => trustsEverybody(app);
  const closing = close === undefined ? undefined : () => close(app);
  const joined = new JoinedApp(options, foreign, () => handlers(app), trusting, closing);
  Object.assign(app, { [JOINED]: joined });
  return joined;
}

/** What {@link join} has made of an app. @throws {NOT_REGISTERED} for one that was not joined. */
export function joinedOf(app: object): JoinedApp {
  const joined = (app as { [JOINED]?: JoinedApp })[JOINED]; // set by `join` alone
  if (joined === undefined) throw notJoined();
  return joined;
}

/** The error for handlers on an app without Steward. */
export function notJoined(): StewardError {
  return serverError(
    "NOT_REGISTERED",
    "a handler with needs wants steward: call steward(app, { running }) before the routes",
  );
}

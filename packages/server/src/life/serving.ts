import { AsyncResource } from "node:async_hooks";
import type { Server } from "node:net";
import type { Container, RunningContainer } from "@steward/container";
import { followValue, type FrameworkScope } from "@steward/container/framework";
import type { AnyDefinition, Needs } from "@steward/core/container";
import {
  runWithContext,
  systemClock,
  type Binding,
  type Definition,
  type MetricSample,
  type RequestContext,
} from "@steward/core";
import { publishUnhandled } from "@steward/core/driver";
import { connectionRoomOfProcess } from "../connections/connection-cap.ts";
import { serverError } from "../errors.ts";
import type { BackgroundStats, Task } from "./background.ts";
import type { RequestLog } from "./exchange.ts";
import { loggable } from "../log/loggable.ts";
import { endingOf, type SessionEnding } from "./session-ending.ts";
import { within } from "./within.ts";

/** Numbers of what goes on between requests and the container. */
export interface ServingStats {
  /** Requests whose scope is open. */
  readonly openRequests: number;
  /** Scopes whose release goes on now. */
  readonly releasing: number;
  readonly background: BackgroundStats;
  /** Connections that were closed as they came, because there were as many as may be. */
  readonly refusedConnections: number;
}

/** Where the container comes from. */
export type RunningSource =
  | { readonly container: Container<string>; readonly inputs: readonly Binding[] }
  | (() => RunningContainer | undefined);

/** A request whose scope is open: named while it hangs, and linked to its neighbours, because that is part of every request. */
interface OpenRequest {
  readonly name: string;
  older: OpenRequest | undefined;
  newer: OpenRequest | undefined;
}

/** Joins an app and its container: knows where requests come in, and what has to end before resources stop. */
export class Serving {
  readonly log: RequestLog;
  /** How long a client may take nothing of its answer, in ms. */
  readonly stallTimeoutMs: number;
  #source: RunningSource;
  #running: RunningContainer | undefined;
  #open = 0;
  #newest: OpenRequest | undefined;
  readonly #pending = new Map<Promise<unknown>, string>();
  readonly #tasks = new Set<Task>();
  #done = 0;
  #failed = 0;
  #lost = 0;
  #refused = 0;
  #endsOf: RunningContainer | undefined;
  #ignoreEnds: (() => void) | undefined;
  #refusalLogged = Number.NEGATIVE_INFINITY;

  constructor(source: RunningSource, log: RequestLog, stallTimeoutMs = 60_000) {
    this.#source = source;
    this.log = log;
    this.stallTimeoutMs = stallTimeoutMs;
  }

  /** The container, once it runs. */
  get running(): RunningContainer | undefined {
    return typeof this.#source === "function" ? this.#source() : this.#running;
  }

  /**
   * Caps the connections of a public listener, so that clients cannot take the descriptors that management and drivers
   * need. Call it before the server listens.
   *
   * @param max How many; `undefined` for what the limit of descriptors allows, `false` for no cap.
   */
  capConnections(server: Server, max: number | false | undefined): void {
    connectionRoomOfProcess.cap(server, max, (cap) => this.#refuse(cap));
  }

  #refuse(cap: number): void {
    this.#refused++;
    const now = systemClock.now();
    if (now - this.#refusalLogged < REFUSALS_MS) return;
    this.#refusalLogged = now;
    this.log.error({}, `there are ${cap} connections, as many as may be: further ones are closed as they come`);
  }

  /** Replaces the container before it has started. */
  replaceContainer(change: (container: Container<string>) => Container<string>): boolean {
    if (typeof this.#source === "function" || this.#running !== undefined) return false;
    this.#source = { ...this.#source, container: change(this.#source.container) };
    return true;
  }

  /** Starts the container, if it is this app's own. @param roots What the app's routes need: it holds that too. */
  async start(roots: readonly AnyDefinition[] = []): Promise<void> {
    if (typeof this.#source === "function") return;
    const { container, inputs } = this.#source;
    this.#running = await (container.withRoots(roots) as Container).start(inputs as readonly []); // the plugin's options have checked the inputs
  }

  /** Ends the container's sessions when those end that their key belongs to, where it belongs to such. */
  endSessionsWith(key: object | undefined): void {
    const { running } = this;
    const ending = endingOf(key);
    if (running === undefined || ending === undefined || this.#endsOf === running) return;
    this.#endsOf = running;
    this.#ignoreEnds?.();
    const ignoring: (() => void)[] = [];
    const ignore = followValue(running, ending as never as Definition<SessionEnding, "application", never>, (auth) => {
      // The one before goes on with requests that began with it, and may end sessions for them.
      if (ignoring.length > 1) ignoring.shift()?.();
      ignoring.push(
        auth.onEnded(({ sessions }) => {
          for (const id of sessions) this.track(running.session(id).end(), "the end of a session");
        }),
      );
    });
    this.#ignoreEnds = () => {
      ignore();
      for (const end of ignoring) end();
    };
  }

  /** Runs what comes after a response: with the request's id and trace, and without its deadline or its signal, which are over. */
  readonly afterwards: <T>(request: RequestContext, work: () => T) => T = AsyncResource.bind(
    <T>({ requestId, traceContext }: RequestContext, work: () => T): T =>
      runWithContext({ requestId, traceContext }, work),
  );

  /** @internal A request has opened its scope. */
  opened(life: OpenRequest): void {
    life.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = life;
    this.#newest = life;
    this.#open++;
  }

  /** @internal Its scope is closed. */
  closed(life: OpenRequest): void {
    if (life.newer === undefined) this.#newest = life.older;
    else life.newer.older = life.older;
    if (life.older !== undefined) life.older.newer = life.newer;
    life.older = life.newer = undefined;
    this.#open--;
  }

  /** Waits for something before resources stop. */
  track(work: Promise<unknown>, name: string): void {
    const tracked: Promise<unknown> = work
      .catch((error: unknown) => {
        this.log.error({ err: loggable(error) }, "work after a response failed");
        publishUnhandled("task", error, { name });
      })
      .finally(() => this.#pending.delete(tracked));
    this.#pending.set(tracked, name);
  }

  /** @internal A task waits for its response; the session that it needs, where it does, is held from here on. */
  taskQueued(task: Task, scope: FrameworkScope | undefined): void {
    if (task.needs !== undefined && scope !== undefined) this.#holdSession(task.name, task.needs, scope);
    this.#tasks.add(task);
  }

  #holdSession(name: string, needs: Needs, scope: FrameworkScope): void {
    const prepared = this.running?.prepare(needs as {}); // the signature of `add` has checked them
    if (prepared?.ofSession === undefined) return;
    const ofSession = `the background task "${name}" needs "${prepared.ofSession}", which belongs to a session`;
    if (!scope.isOpen)
      throw serverError("ROUTE_INVALID", `${ofSession}: add it before what the request holds is released`);
    if (!prepared.holdSession(scope))
      throw serverError(
        "ROUTE_INVALID",
        `${ofSession}: say which session a request belongs to, such as \`session: sessionCookie("sid")\` among the options of the app`,
      );
  }

  /** Runs a task, unless it was given up; each task has one outcome. */
  async runTask(task: Task, scope: FrameworkScope | undefined): Promise<void> {
    if (!this.#tasks.has(task)) return;
    try {
      const { running } = this;
      if (task.needs === undefined) await task.run({} as never); // it wants no values
      else if (running === undefined)
        throw serverError("BACKGROUND_LOST", `"${task.name}" cannot run: the container is not up`);
      else if (scope === undefined) await running.scope([], task.needs as {}, (values) => task.run(values as never)); // its own signature has checked the needs
      else await running.prepare(task.needs as {}).runBeside(scope, task.run); // as above
      if (this.#tasks.delete(task)) this.#done++;
    } catch (error) {
      if (this.#tasks.delete(task)) this.#failed++;
      throw error;
    }
  }

  /** Tasks of a request that failed are not run. */
  forget(tasks: readonly Task[]): void {
    for (const task of tasks) this.#tasks.delete(task);
  }

  /**
   * Waits for requests and their cleanup; then stops the container, if it is this app's own. All of it within the time.
   *
   * @param begun When closing began, on the clock of the system: what has been used of the time is gone.
   */
  async stop(timeoutMs: number, begun: number = systemClock.now()): Promise<void> {
    const until = begun + timeoutMs;
    const left = Math.max(0, until - systemClock.now());
    const naming = setTimeout(() => this.#nameOpen(), Math.min(NAMING_MS, left / 2));
    // Requests that were cut have half of what is kept for the container, for their cleanup.
    const share = Math.max(left - containerShare(timeoutMs), left / 2);
    await this.#settle(share).finally(() => clearTimeout(naming));
    this.#reportLost();
    this.#ignoreEnds?.();
    const running = this.#running;
    this.#running = undefined;
    if (typeof this.#source === "function") return;
    await running?.stop({ timeoutMs: Math.max(1, Math.round(until - systemClock.now())) });
  }

  /** What closing waits for is named while it waits. */
  #nameOpen(): void {
    const names = [...this.#pending.values()];
    for (let life = this.#newest; life !== undefined; life = life.older) names.push(life.name);
    if (names.length === 0) return;
    const shown = [...new Set(names)].slice(0, 10).join(", ");
    this.log.error({}, `closing waits for ${names.length} requests or releases: ${shown}`);
  }

  async #settle(timeoutMs: number): Promise<void> {
    const until = systemClock.now() + timeoutMs;
    while (this.#pending.size > 0 && systemClock.now() < until)
      await within(Promise.allSettled(this.#pending.keys()), Math.max(0, until - systemClock.now()));
  }

  #reportLost(): void {
    if (this.#tasks.size === 0) return;
    const names = [...this.#tasks].map(({ name }) => name);
    this.#lost += names.length;
    this.#tasks.clear();
    this.log.error(
      {
        err: serverError(
          "BACKGROUND_LOST",
          `${names.length} background tasks had not ended when the app had to stop: ${names.join(", ")}`,
        ),
      },
      "background tasks were lost",
    );
  }

  /** The same numbers as series. */
  *metrics(): Iterable<MetricSample> {
    const attributes = {};
    const task = { unit: "{task}", attributes } as const;
    yield { name: "steward.requests.open", kind: "gauge", unit: "{request}", attributes, value: this.#open };
    yield { name: "steward.background.pending", kind: "gauge", ...task, value: this.#tasks.size };
    for (const [outcome, value] of [
      ["done", this.#done],
      ["failed", this.#failed],
      ["lost", this.#lost],
    ] as const)
      yield { name: "steward.background.tasks", kind: "counter", ...task, attributes: { outcome }, value };
    const unit = "{connection}";
    yield { name: "steward.connections.refused", kind: "counter", unit, attributes, value: this.#refused };
  }

  /** Numbers of what goes on. */
  stats(): ServingStats {
    return {
      openRequests: this.#open,
      releasing: this.#pending.size,
      background: { pending: this.#tasks.size, done: this.#done, failed: this.#failed, lost: this.#lost },
      refusedConnections: this.#refused,
    };
  }
}

/** How often refused connections are logged at most, in ms. */
const REFUSALS_MS = 10_000;
/** When what hangs is named, in ms after closing began. */
const NAMING_MS = 2_000;
/** Longest time that is kept for the container's stop, in ms. */
const CONTAINER_MS = 5_000;

/** How much of the time for closing requests may have, in ms. */
export function requestShare(timeoutMs: number): number {
  return timeoutMs - containerShare(timeoutMs);
}

function containerShare(timeoutMs: number): number {
  return Math.min(CONTAINER_MS, timeoutMs / 4);
}

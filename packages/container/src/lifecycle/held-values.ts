import type { Binding, Clock } from "@steward/core";
import { CachedInstances, type CachedHost } from "./cached-instances.ts";
import type { NodeFailure } from "../errors.ts";
import type { LiveNode } from "./live-node.ts";
import type { StopBudget } from "../stop/stop-budget.ts";
import type { SessionState } from "../session/session.ts";
import { Bounds } from "../scope/bounds.ts";
import { Sessions, type SessionOptions } from "../session/sessions.ts";

type OpenSession = (inputs: readonly Binding[], bounds: Bounds) => SessionState;

/** What outlives a scope and holds instances of the container: values of sessions, and cached instances. */
export class HeldValues {
  readonly sessions: Sessions;
  readonly cached: CachedInstances;
  readonly #clock: Clock;
  /** Of all sessions. */
  readonly #bounds: Bounds;
  /** Of restarts that release something. */
  readonly #releasing = new Set<Bounds>();

  constructor(host: CachedHost, options: SessionOptions, openSession: OpenSession) {
    this.#clock = host.clock;
    this.#bounds = new Bounds(host.clock);
    this.sessions = new Sessions(host.clock, options, (inputs) => openSession(inputs, this.#bounds));
    this.cached = new CachedInstances(host);
  }

  /** Releases what holds any of these. Gives what failed. */
  async release(nodes: readonly LiveNode[], bounds: Bounds): Promise<NodeFailure[]> {
    const since = this.#clock.now();
    this.#releasing.add(bounds);
    const ofSessions = await this.sessions.release(nodes, bounds); // they may hold cached instances
    this.#releasing.delete(bounds);
    return [
      ...this.#failed("sessions", since, ofSessions),
      ...this.#failed("cached instances", since, await this.cached.release(nodes)),
    ];
  }

  /** Releases everything; for what hangs there is half the time. Gives what failed. */
  async closeWithin(budget: StopBudget): Promise<NodeFailure[]> {
    const since = this.#clock.now();
    const closed = this.#close();
    const failures = await budget.share(1 / 2, closed);
    if (failures !== undefined) return failures;
    const cause = new Error("they had not ended when their time was over");
    for (const bounds of [this.#bounds, ...this.#releasing]) bounds.hurry(cause); // what is left of sessions is still released, in order
    const named = await budget.share(1 / 2, closed);
    return named ?? this.#failed("sessions and cached instances", since, [cause]);
  }

  async #close(): Promise<NodeFailure[]> {
    const since = this.#clock.now();
    const ofSessions = await this.sessions.close();
    return [
      ...this.#failed("sessions", since, ofSessions),
      ...this.#failed("cached instances", since, await this.cached.close()),
    ];
  }

  #failed(resource: string, since: number, causes: readonly unknown[]): NodeFailure[] {
    return causes.map((cause) => ({ resource, phase: "stop", durationMs: this.#clock.now() - since, cause }));
  }
}

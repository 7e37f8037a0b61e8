import { publishState } from "../channels.ts";
import type { Clock } from "../time/clock.ts";
import type { Phase } from "./phase.ts";

/** A phase with the data that only that phase has. Times are ms of the resource's clock. */
export type LifecycleState =
  | { readonly phase: "idle" }
  /** `error`: what the start before this one failed with, if it did. */
  | { readonly phase: "starting"; readonly since: number; readonly error?: unknown }
  | { readonly phase: "ready"; readonly since: number; readonly startedInMs: number }
  | { readonly phase: "draining"; readonly since: number }
  | { readonly phase: "stopping"; readonly since: number }
  | { readonly phase: "stopped"; readonly since: number; readonly error?: unknown }
  | { readonly phase: "failed"; readonly since: number; readonly error: unknown };

/** Which phase may follow which. Everything else is refused by {@link Lifecycle.move}. */
export const TRANSITIONS: Readonly<Record<Phase, readonly Phase[]>> = {
  idle: ["starting", "stopped"],
  starting: ["ready", "failed", "stopping"],
  ready: ["draining", "stopping", "failed"],
  draining: ["stopping", "failed"],
  stopping: ["stopped"],
  stopped: ["starting"],
  failed: ["starting", "stopping", "stopped"],
};

/**
 * The state of one resource, and the one door through which it changes.
 *
 * A move that the table does not allow is not an error: {@link move} answers `false`, which means that somebody
 * else moved first, and the loser of that race releases what it built.
 */
export class Lifecycle {
  readonly #name: string;
  readonly #clock: Pick<Clock, "now">;
  #state: LifecycleState = { phase: "idle" };

  constructor(name: string, clock: Pick<Clock, "now">) {
    this.#name = name;
    this.#clock = clock;
  }

  get state(): LifecycleState {
    return this.#state;
  }

  get phase(): Phase {
    return this.#state.phase;
  }

  /** Goes to `to` when the present phase is one of `from` and the table allows it; returns whether it did. */
  move(from: readonly Phase[], to: Phase, error?: unknown): boolean {
    const before = this.#state;
    if (!from.includes(before.phase) || !TRANSITIONS[before.phase].includes(to)) return false;
    this.#state = this.#next(before, to, error);
    publishState({ resource: this.#name, from: before.phase, to, error });
    return true;
  }

  #next(before: LifecycleState, to: Phase, error: unknown): LifecycleState {
    const since = this.#clock.now();
    switch (to) {
      case "idle":
        return { phase: to };
      case "starting":
        return before.phase === "failed" ? { phase: to, since, error: before.error } : { phase: to, since };
      case "ready":
        return { phase: to, since, startedInMs: since - ("since" in before ? before.since : since) };
      case "failed":
        return { phase: to, since, error };
      case "stopped":
        return error === undefined ? { phase: to, since } : { phase: to, since, error };
      default:
        return { phase: to, since };
    }
  }
}

import type { CallAbout } from "../trace/call-event.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import type { StewardError } from "../errors.ts";
import type { Guard, GuardOptions } from "../guard/guard.ts";
import { type CallSummary, callsOf, evidenceOf, type PassiveEvidence } from "../health/tracker.ts";
import { closeWithin } from "./closing.ts";
import { Lifecycle, type LifecycleState } from "./lifecycle.ts";
import { drainTimeout, interrupted, notReady, startAborted, startConflict, startTimeout, stopAsked } from "./errors.ts";
import type { Phase } from "./phase.ts";
import { RESOURCE_TIMEOUTS, type ManagerContext } from "./manager-context.ts";
import type { MetricSample } from "../ports/metrics.ts";
import { Probing, type LastProbe, type ProbeCall } from "../health/probing.ts";
import type { ManagedResource } from "../definition/spec.ts";
import { Bounded, type BoundedCall, TimeoutReached } from "../time/with-timeout.ts";

/** What all guards of a manager have in common. */
export type GuardBasis = Pick<GuardOptions, "resource" | "clock" | "refusal" | "ask" | "onEvidence" | "about">;

/** Signal of a caller that may lose patience. */
export interface ManagerCall {
  readonly signal?: AbortSignal | undefined;
}

/** How long a start that was aborted may take to end before it is left to itself, in ms. */
const START_GRACE_MS = 1_000;

const PROBE_TIMEOUT_MS = 1_000;

/**
 * What every manager has: starts, probes, drains and stops something, once each however many ask, and never hangs.
 * `Manager` is the one that driver packages extend.
 */
export abstract class BaseManager<Client> implements ManagedResource<Client>, AsyncDisposable {
  /** Name in errors, stats and events. */
  readonly name: string;
  protected readonly clock: Clock;
  readonly #limits: Readonly<Record<keyof typeof RESOURCE_TIMEOUTS, number>>;
  readonly #lifecycle: Lifecycle;
  #starting: Promise<this> | undefined;
  #stopping: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #opening: Bounded<void> | undefined;
  #late: Promise<unknown> | undefined;
  readonly #probing: Probing;
  #listeners: Set<() => void> | undefined;

  constructor(kind: string, context: ManagerContext = {}) {
    this.name = context.name ?? kind;
    this.clock = context.clock ?? systemClock;
    this.#lifecycle = new Lifecycle(this.name, this.clock);
    this.#limits = {
      startTimeoutMs: context.startTimeoutMs ?? RESOURCE_TIMEOUTS.startTimeoutMs,
      drainTimeoutMs: context.drainTimeoutMs ?? RESOURCE_TIMEOUTS.drainTimeoutMs,
      stopTimeoutMs: context.stopTimeoutMs ?? RESOURCE_TIMEOUTS.stopTimeoutMs,
    };
    this.#probing = new Probing(this.name, this.clock, context.probeTimeoutMs ?? PROBE_TIMEOUT_MS);
  }

  /** What users are handed: the driver's own client. It keeps its identity and refuses calls while not ready. */
  abstract get client(): Client;

  /** Makes it ready; a rejection or an abort of the signal means that it is not. */
  protected abstract starting(call: BoundedCall): Promise<void> | void;

  /** Asks the remote for a sign of life. */
  protected abstract onProbe(signal: AbortSignal): Promise<void> | void;

  /** Releases everything, also what a failed or aborted start left. When the signal aborts, by force. */
  protected abstract stopping(call: BoundedCall): Promise<void> | void;

  /** Waits for the work in flight; new work is refused already. When the signal aborts, time is over. */
  protected abstract draining(call: BoundedCall): Promise<void> | void;

  /** The guards that calls pass, so that what they see counts as evidence of health. Default: none. */
  protected guards(): Iterable<Guard> {
    return [];
  }

  /** What real calls show of it. */
  get passive(): PassiveEvidence {
    return evidenceOf(this.guards(), this.clock.now());
  }

  /**
   * What every guard of this manager needs to know: its name, when it refuses, whom to ask when calls get no answer, and who
   * listens to what they show.
   */
  protected guardBasis(): GuardBasis {
    return {
      resource: this.name,
      clock: this.clock,
      refusal: () => this.unavailable(),
      ask: (signal) => this.ask(signal),
      onEvidence: () => this.noticed(),
      about: () => this.aboutCalls(),
    };
  }

  /** What its calls are in a trace, by OpenTelemetry's conventions. Default: nothing is said. */
  protected aboutCalls(): CallAbout | undefined {
    return undefined;
  }

  /** Asks for a sign of life on behalf of calls that get no answer. Default: the same as a probe. */
  protected ask(signal: AbortSignal): Promise<void> | void {
    return this.onProbe(signal);
  }

  /** The driver itself has seen something of the resource: what watches it looks now. */
  protected noticed(): void {
    if (this.#listeners !== undefined) for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` whenever calls have shown something new; the returned function ends that. */
  listen(listener: () => void): () => void {
    const listeners = (this.#listeners ??= new Set()).add(listener);
    return () => void listeners.delete(listener);
  }

  /** Numbers of its calls since it was made; `undefined` where it has no guard that sees them. */
  get calls(): CallSummary | undefined {
    return callsOf(this.guards());
  }

  /** Whether there can be anything to wait for in a drain. Default `true`. */
  protected get hasWorkToDrain(): boolean {
    return true;
  }

  /** Something else than a call has shown that the remote answers: open breakers let one call try at once. */
  answers(): void {
    for (const guard of this.guards()) guard.answers();
  }

  /** The driver's own numbers. */
  protected measure(): Readonly<Record<string, unknown>> {
    return {};
  }

  get state(): LifecycleState {
    return this.#lifecycle.state;
  }

  get phase(): Phase {
    return this.#lifecycle.phase;
  }

  /** Why it is down, also while it is tried again; `undefined` when it is not. */
  get failure(): unknown {
    return this.state.phase === "failed" || this.state.phase === "starting" ? this.state.error : undefined;
  }

  /** True while a start that was given up still runs, because it ignores its signal; it is closed when it arrives. */
  get startAbandoned(): boolean {
    return this.#opening?.isWorking === true && this.phase !== "starting";
  }

  get lastProbe(): LastProbe | undefined {
    return this.#probing.last;
  }

  /**
   * Starts it. All callers share one start; a started one answers at once, a stopped or failed one starts anew.
   *
   * @throws {START_TIMEOUT} when it is not ready in time.
   * @throws {START_ABORTED} when `signal` aborts or a stop was asked for meanwhile.
   * @throws {LIFECYCLE_CONFLICT} while it drains or stops, or while an earlier start that was given up still runs.
   */
  start(call: ManagerCall = {}): Promise<this> {
    if (this.phase === "ready") return Promise.resolve(this);
    if (this.phase === "starting" && this.#starting !== undefined) return this.#starting;
    if (this.startAbandoned)
      return Promise.reject(startConflict(this.name, "an earlier start, which ignores its signal, still runs"));
    if (!this.#lifecycle.move(["idle", "stopped", "failed"], "starting"))
      return Promise.reject(startConflict(this.name, `it is ${this.phase}`));
    this.#stopping = this.#draining = undefined;
    return (this.#starting = this.#start(call.signal));
  }

  async #start(outer: AbortSignal | undefined): Promise<this> {
    const options = { outer, graceMs: START_GRACE_MS, onLate: () => this.#discard() };
    const opening = (this.#opening = new Bounded<void>(this.clock, options));
    try {
      if (this.#late !== undefined) await this.#late;
      await opening.run(this.#limits.startTimeoutMs, (call) => this.starting(call));
    } catch (error) {
      return await this.#failStart(error, outer).finally(() => this.#forget(opening));
    }
    if (this.phase === "starting") for (const guard of this.guards()) guard.started();
    this.#forget(opening);
    if (this.#lifecycle.move(["starting"], "ready")) return this;
    throw startAborted(this.name, opening.signal.reason);
  }

  /** Lets go of a start that is over: its signal, its timer and all that hangs on them would live as long as the manager. */
  #forget(opening: Bounded<void>): void {
    if (this.#opening === opening && !opening.isWorking) this.#opening = this.#starting = undefined;
  }

  async #failStart(error: unknown, outer: AbortSignal | undefined): Promise<never> {
    const reason = this.#startError(error, outer);
    if (this.phase === "starting") {
      await this.#discard();
      this.#lifecycle.move(["starting"], "failed", reason);
    }
    throw reason;
  }

  #startError(error: unknown, outer: AbortSignal | undefined): unknown {
    if (outer?.aborted === true || this.phase !== "starting") return startAborted(this.name, outer?.reason ?? error);
    if (!(error instanceof TimeoutReached)) return error;
    return startTimeout(this.name, this.#limits.startTimeoutMs);
  }

  /** Closes what a failed start has opened; that it failed is what the caller learns, not how this went. */
  #discard(): Promise<void> {
    const done = this.#close().catch(() => {});
    this.#late = done.then(() => (this.#late = undefined));
    return done;
  }

  /** Refuses new work from here on and waits for what runs. Only a ready one has anything to drain. */
  drain(call: ManagerCall = {}): Promise<void> {
    if (!this.#lifecycle.move(["ready"], "draining")) return this.#draining ?? Promise.resolve();
    if (!this.hasWorkToDrain) return (this.#draining = Promise.resolve());
    const settling = new Bounded<void>(this.clock, { outer: call.signal });
    return (this.#draining = settling
      .run(this.#limits.drainTimeoutMs, (bounded) => this.draining(bounded))
      .catch((error: unknown) => {
        if (!(error instanceof TimeoutReached)) throw error;
        throw drainTimeout(this.name, this.#limits.drainTimeoutMs);
      }));
  }

  /**
   * Stops it. All callers share one outcome; stopping a stopped one does nothing.
   *
   * @throws {STOP_TIMEOUT} when it does not end in time; it counts as stopped all the same.
   */
  stop(call: ManagerCall = {}): Promise<void> {
    if (this.phase === "stopped") return Promise.resolve();
    if (this.#lifecycle.move(["idle"], "stopped")) return Promise.resolve();
    const opening = this.phase === "starting" ? this.#opening : undefined;
    if (this.#lifecycle.move(["starting", "ready", "draining", "failed"], "stopping"))
      this.#stopping = this.#stop(opening, call.signal);
    return this.#stopping ?? Promise.resolve();
  }

  async #stop(opening: Bounded<void> | undefined, outer: AbortSignal | undefined): Promise<void> {
    if (opening !== undefined) {
      opening.end(stopAsked(this.name));
      await this.#starting?.catch(() => {});
    }
    if (this.#late !== undefined) await this.#late;
    let failure: { readonly error: unknown } | undefined; // what is thrown may be undefined
    try {
      await this.#close(outer);
    } catch (error) {
      failure = { error };
    }
    for (const guard of this.guards()) guard.stop();
    this.#lifecycle.move(["stopping"], "stopped", failure?.error);
    if (failure !== undefined) throw failure.error;
  }

  #close(outer?: AbortSignal): Promise<void> {
    const { stopTimeoutMs } = this.#limits;
    return closeWithin(this.name, this.clock, stopTimeoutMs, (call) => this.stopping(call), outer);
  }

  /**
   * Asks the remote for a sign of life, within the probe timeout.
   *
   * @throws {RESOURCE_UNAVAILABLE} when it is not ready.
   * @throws {PROBE_TIMEOUT} when there is no answer in time.
   */
  probe(call: ProbeCall = {}): Promise<void> {
    if (this.phase !== "ready" && this.phase !== "draining") return Promise.reject(this.refusal());
    return this.#probing.probe((signal) => this.onProbe(signal), call);
  }

  /**
   * Replaces what lies below the client (connections, credentials) while the client keeps its identity; what calls on
   * the old connections showed no longer counts.
   *
   * @throws {RESOURCE_UNAVAILABLE} when it is not ready: there is nothing to replace.
   */
  async renew(): Promise<void> {
    if (this.phase !== "ready") throw this.refusal();
    await this.replace();
    for (const guard of this.guards()) guard.renewed();
  }

  /** Makes new connections; calls in flight finish on the old ones. Default: there is nothing to replace. */
  protected replace(): Promise<void> | void {}

  /** The current numbers. */
  stats(): Readonly<Record<string, unknown>> {
    return Object.freeze({ phase: this.phase, ...this.measure() });
  }

  /** The current numbers as series. A driver adds its own by overriding {@link series}. */
  *metrics(): Iterable<MetricSample> {
    for (const guard of this.guards()) yield* guard.metrics({ resource: this.name });
    yield* this.series({ resource: this.name });
  }

  /** Series of the driver, under the names of the OpenTelemetry conventions where they exist. */
  protected series(_attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    return [];
  }

  /** Why calls are refused now, or `undefined` when it is ready. For the guard. */
  protected unavailable(): StewardError | undefined {
    return this.phase === "ready" ? undefined : this.refusal();
  }

  /** The error of a call while it is not ready, and of one that waited for its turn until then. */
  protected refusal(): StewardError {
    return notReady(this.name, this.state);
  }

  /** The error of a call that a stop ends while it is in flight, because its time is over. It may have had its effect. */
  protected interruption(): StewardError {
    return interrupted(this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain().catch(() => {});
    await this.stop();
  }
}

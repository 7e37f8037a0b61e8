import { systemClock, type Clock } from "../time/clock.ts";
import type { StewardError } from "../errors.ts";
import type { Guard, GuardOptions } from "../guard/guard.ts";
import { type CallSummary, callsOf, evidenceOf, type PassiveEvidence } from "../health/tracker.ts";
import { closeWithin } from "./closing.ts";
import { Lifecycle, type LifecycleState } from "./lifecycle.ts";
import { drainTimeout, notReady, startAborted, startConflict, startTimeout, stopAsked } from "./errors.ts";
import type { Phase } from "./phase.ts";
import { contextShape, RESOURCE_TIMEOUTS, type ManagerContext } from "./manager-context.ts";
import type { MetricSample } from "../ports/metrics.ts";
import { Probing, type LastProbe, type ProbeCall } from "../health/probing.ts";
import type { ManagedResource } from "../definition/spec.ts";
import { assertShape } from "../options/shape.ts";
import { TimeoutReached, withTimeout } from "../time/with-timeout.ts";

/** What all guards of a manager have in common. */
export type GuardBasis = Pick<GuardOptions, "resource" | "clock" | "refusal" | "ask" | "onEvidence">;

/** Signal of a caller that may lose patience. */
export interface ManagerCall {
  readonly signal?: AbortSignal | undefined;
}

/** How long a start that was aborted may take to end before it is left to itself, in ms. */
const START_GRACE_MS = 1_000;

const PROBE_TIMEOUT_MS = 1_000;

/**
 * Looks after one driver: starts, probes, drains and stops it, once each however many ask, and never hangs.
 *
 * A driver package extends it and says how to `onStart`, `onProbe`, `onDrain` and `onStop`; the races, deadlines and
 * phases are here. It works without a container: `await using redis = await new RedisPoolManager(options).start()`.
 */
export abstract class Manager<Client> implements ManagedResource<Client>, AsyncDisposable {
  /** Name in errors, stats and events. */
  readonly name: string;
  protected readonly clock: Clock;
  readonly #limits: Readonly<Record<keyof typeof RESOURCE_TIMEOUTS, number>>;
  readonly #lifecycle: Lifecycle;
  #starting: Promise<this> | undefined;
  #stopping: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #abortStart: AbortController | undefined;
  #late: Promise<unknown> | undefined;
  readonly #probing: Probing;
  #opening = false;
  readonly #listeners = new Set<() => void>();

  constructor(kind: string, context: ManagerContext = {}) {
    assertShape(kind, contextShape, context);
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

  /** Makes the driver ready; a rejection or an abort of `signal` means that it is not. */
  protected abstract onStart(signal: AbortSignal): Promise<void> | void;

  /** Asks the remote for a sign of life. */
  protected abstract onProbe(signal: AbortSignal): Promise<void> | void;

  /** Releases everything, also what a failed or aborted `onStart` left. When `signal` aborts, by force. */
  protected abstract onStop(signal: AbortSignal): Promise<void> | void;

  /** Waits for the work in flight; new work is refused already. When `signal` aborts, time is over. */
  protected onDrain(_signal: AbortSignal): Promise<void> | void {}

  /** The guards that calls pass, so that what they see counts as evidence of health. Default: none. */
  protected guards(): Iterable<Guard> {
    return [];
  }

  /** What real calls show of it. */
  get passive(): PassiveEvidence {
    return evidenceOf(this.guards(), this.clock.now());
  }

  /**
   * What every guard of this manager is told: its name, when it refuses, whom to ask when calls get no answer, and who
   * listens to what they show.
   */
  protected guardBasis(): GuardBasis {
    return {
      resource: this.name,
      clock: this.clock,
      refusal: () => this.unavailable(),
      ask: (signal) => this.ask(signal),
      onEvidence: () => this.noticed(),
    };
  }

  /** Asks for a sign of life on behalf of calls that get no answer. Default: the same as a probe. */
  protected ask(signal: AbortSignal): Promise<void> | void {
    return this.onProbe(signal);
  }

  /** The driver itself has seen something of the resource: what watches it looks now. */
  protected noticed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` whenever calls have shown something new; the returned function ends that. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
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

  /** Why it is down; `undefined` when it is not. */
  get failure(): unknown {
    return this.state.phase === "failed" ? this.state.error : undefined;
  }

  /** True while a start that was given up still runs, because it ignores its signal; it is closed when it arrives. */
  get startAbandoned(): boolean {
    return this.#opening && this.phase !== "starting";
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
    const abort = (this.#abortStart = new AbortController());
    try {
      await this.#late;
      const opening = async (): Promise<void> => {
        this.#opening = true;
        try {
          await this.onStart(abort.signal);
        } finally {
          this.#opening = false;
        }
      };
      await withTimeout(this.clock, this.#limits.startTimeoutMs, opening, {
        abort,
        outer,
        graceMs: START_GRACE_MS,
        onLate: () => this.#discard(),
      });
    } catch (error) {
      return await this.#failStart(error, outer);
    } finally {
      this.#abortStart = undefined;
    }
    if (this.#lifecycle.move(["starting"], "ready")) return this;
    throw startAborted(this.name, abort.signal.reason);
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

  /** Closes what a failed start left behind; that it failed is what the caller learns, not how this went. */
  #discard(): Promise<void> {
    const done = this.#close().catch(() => {});
    this.#late = done.then(() => (this.#late = undefined));
    return done;
  }

  /** Refuses new work from here on and waits for what runs. Only a ready one has anything to drain. */
  drain(call: ManagerCall = {}): Promise<void> {
    if (!this.#lifecycle.move(["ready"], "draining")) return this.#draining ?? Promise.resolve();
    if (!this.hasWorkToDrain) return (this.#draining = Promise.resolve());
    const abort = new AbortController();
    const settling = async (): Promise<void> => this.onDrain(abort.signal);
    return (this.#draining = withTimeout(this.clock, this.#limits.drainTimeoutMs, settling, {
      abort,
      outer: call.signal,
    }).catch((error: unknown) => {
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
    if (this.#lifecycle.move(["starting", "ready", "draining", "failed"], "stopping"))
      this.#stopping = this.#stop(call.signal);
    return this.#stopping ?? Promise.resolve();
  }

  async #stop(outer: AbortSignal | undefined): Promise<void> {
    if (this.#abortStart !== undefined) {
      this.#abortStart.abort(stopAsked(this.name));
      await this.#starting?.catch(() => {});
    }
    await this.#late;
    let failure: unknown;
    try {
      await this.#close(outer);
    } catch (error) {
      failure = error;
    }
    for (const guard of this.guards()) guard.stop();
    this.#lifecycle.move(["stopping"], "stopped", failure);
    if (failure !== undefined) throw failure;
  }

  #close(outer?: AbortSignal): Promise<void> {
    const { stopTimeoutMs } = this.#limits;
    return closeWithin(this.name, this.clock, stopTimeoutMs, (signal) => this.onStop(signal), outer);
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

  /** The numbers of now. */
  stats(): Readonly<Record<string, unknown>> {
    return Object.freeze({ phase: this.phase, ...this.measure() });
  }

  /** The numbers of now as series. A driver adds its own by overriding {@link series}. */
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

  /** The error of a call while it is not ready. */
  protected refusal(): StewardError {
    return notReady(this.name, this.state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain().catch(() => {});
    await this.stop();
  }
}

import type { Binding } from "@steward/core";
import { isThenable, type Needs } from "@steward/core/container";
import { runCleanups, type Cleanup, type Outcome } from "../scope/cleanups.ts";
import { containerError } from "../errors.ts";
import { execute } from "../scope/plan-runner.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import type { Held } from "../graph/held-nodes.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import type { CachedDemand, Plan, Step, StepHost } from "../scope/plan.ts";
import type { Generation } from "../lifecycle/state.ts";
import {
  enterGenerator,
  inputMissing,
  isNoted,
  type SessionSource,
  type ValueHolder,
  type ValueHost,
} from "../scope/value-holder.ts";
import type { Bounds } from "../scope/bounds.ts";

/** What a session asks of the container it belongs to. */
export interface SessionHost extends ValueHost {
  /** What a value is made from that is made now, in a generation. */
  heldBy(definition: AnyDefinition, generation: Generation): Held;
}

/** A value of a session, and what it was made from. */
interface Made {
  readonly held: Held;
  readonly value: unknown;
}

/** What has to be undone at the end of a session, or when what it holds is restarted. */
interface Due {
  readonly held: Held;
  readonly cleanup: Cleanup;
}

/** The values of a user's session. A restart makes those anew that hold what was restarted, and only those. */
export class SessionState implements SessionSource {
  readonly #host: SessionHost;
  readonly #inputs: readonly Binding[];
  /** Bounds starts, and cleanups at the end. */
  readonly bounds: Bounds;
  readonly #made = new Map<AnyDefinition, Made[]>();
  /** In the order in which values were made. */
  #due: Due[] = [];
  /** Cleanups of what arrived after the end. */
  readonly #late: Promise<unknown>[] = [];
  /** Resolves once the cleanups in progress are over: one after the other, or a value would go before those that hold it. */
  #cleaned: Promise<unknown> = Promise.resolve();
  readonly #abort = new AbortController();
  #isClosed = false;

  constructor(host: SessionHost, inputs: readonly Binding[], bounds: Bounds) {
    this.#host = host;
    this.#inputs = inputs;
    this.bounds = bounds;
  }

  /** Aborts when the session ends. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The value of a definition, made where there is none that belongs to this generation. */
  async get(definition: AnyDefinition, generation: Generation): Promise<unknown> {
    const { value } = await new SessionValues(this.#host, this, generation).resolve({ value: definition });
    return value;
  }

  inputValue(definition: AnyDefinition): unknown {
    for (const binding of this.#inputs) if (binding.input === definition) return binding.value;
    throw inputMissing(definition);
  }

  /** What was made of a definition from the same; else makes it. A failure is not remembered. */
  remember(definition: AnyDefinition, held: Held, make: () => unknown): unknown {
    const versions = this.#made.get(definition) ?? [];
    const known = versions.find((made) => made.held.isSame(held));
    if (known !== undefined) return known.value;
    const made = { held, value: make() };
    this.#made.set(definition, [...(this.#made.get(definition) ?? []), made]);
    if (isThenable(made.value)) made.value.then(undefined, () => this.#forget(definition, (one) => one === made));
    return made.value;
  }

  /** What was made of a definition from the same is made anew for the next who asks. */
  forget(definition: AnyDefinition, held: Held): void {
    this.#forget(definition, (made) => made.held.isSame(held));
  }

  #forget(definition: AnyDefinition, which: (made: Made) => boolean): void {
    const left = (this.#made.get(definition) ?? []).filter((made) => !which(made));
    if (left.length === 0) this.#made.delete(definition);
    else this.#made.set(definition, left);
  }

  isNoted(step: Step, value: unknown): boolean {
    return isNoted(
      this.#due.map(({ cleanup }) => cleanup),
      step,
      value,
    );
  }

  /** Notes what has to be undone. What arrives after the end, because it ignored its signal, is undone at once. */
  willCleanUp(cleanup: Cleanup, held: Held): void {
    this.#due.push({ cleanup, held });
    if (this.#isClosed) this.#late.push(runCleanups([cleanup], { error: sessionEnded() }, this, this.bounds));
  }

  /**
   * Releases the values that hold any of these instances, last made first; the next who asks has them made anew.
   * @throws What a cleanup failed with.
   */
  async release(nodes: readonly LiveNode[], bounds: Bounds): Promise<void> {
    const holdsAny = ({ held }: Made | Due): boolean => held.hasAny(nodes);
    for (const definition of this.#made.keys()) this.#forget(definition, holdsAny);
    const due = this.#due.filter(holdsAny);
    this.#due = this.#due.filter((one) => !due.includes(one));
    await this.#run(due, bounds);
  }

  /**
   * Ends the session.
   * @throws What a cleanup failed with.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const due = this.#due.splice(0);
    this.#made.clear();
    try {
      await this.#run(due, this.bounds);
      await Promise.all(this.#late);
    } finally {
      this.#abort.abort(sessionEnded());
    }
  }

  /** True until it is closed. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  async #run(due: readonly Due[], bounds: Bounds): Promise<void> {
    const cleanups = due.map(({ cleanup }) => cleanup);
    const run = this.#cleaned.then(() => runCleanups(cleanups, undefined, this, bounds));
    this.#cleaned = run.catch(() => {});
    const { outcome }: { readonly outcome: Outcome } = await run;
    if (outcome !== undefined) throw outcome.error;
  }
}

function sessionEnded(): Error {
  return containerError("SCOPE_CLOSED", "the session has ended");
}

/** Makes values of a session from one generation. */
class SessionValues implements StepHost, ValueHolder {
  readonly generation: Generation;
  readonly #host: SessionHost;
  readonly #session: SessionState;
  /** What values are made from, as it was when their plan was: overrides may change until they are made. */
  readonly #held = new Map<AnyDefinition, Held>();

  constructor(host: SessionHost, session: SessionState, generation: Generation) {
    this.#host = host;
    this.#session = session;
    this.generation = generation;
  }

  get signal(): AbortSignal {
    return this.#session.signal;
  }

  get isOpen(): boolean {
    return this.#session.isOpen;
  }

  get bounds(): Bounds {
    return this.#session.bounds;
  }

  async resolve(needs: Needs): Promise<Record<string, unknown>> {
    const { values } = this.generation;
    const plan: Plan = this.#host.planFor(this.generation, needs, "session");
    for (const { definition } of plan.steps)
      if (definition !== undefined) this.#held.set(definition, this.#host.heldBy(definition, this.generation));
    const slots = new Array<unknown>(plan.size).fill(undefined);
    for (const { definition, slot } of plan.inputs) slots[slot] = this.#session.inputValue(definition);
    await execute(plan, this, slots, values);
    return plan.result(slots, values, this);
  }

  async get(definition: AnyDefinition): Promise<unknown> {
    const { value } = await this.resolve({ value: definition });
    return value;
  }

  remember(step: Step, make: () => unknown): unknown {
    const { definition } = step;
    return definition === undefined ? make() : this.#session.remember(definition, this.#heldBy(definition), make);
  }

  forget({ definition }: Step): void {
    if (definition !== undefined) this.#session.forget(definition, this.#heldBy(definition));
  }

  enter(definition: AnyDefinition, generator: unknown, handler: boolean): unknown {
    return enterGenerator(this, definition, generator, handler);
  }

  willStop(step: Step, value: unknown): void {
    const { definition, stop } = step;
    if (definition === undefined || (step.remembered && this.#session.isNoted(step, value))) return;
    this.willCleanUp({ definition, handler: false, generator: undefined, stop, value });
  }

  willCleanUp(cleanup: Cleanup): void {
    this.#session.willCleanUp(cleanup, this.#heldBy(cleanup.definition));
  }

  #heldBy(definition: AnyDefinition): Held {
    return this.#held.get(definition) ?? this.#host.heldBy(definition, this.generation);
  }

  fromSession(definition: AnyDefinition): Promise<unknown> {
    return this.get(definition);
  }

  /** It goes with the value that it is made for. */
  instantiate(definition: AnyDefinition, asker: AnyDefinition | undefined): Promise<unknown> {
    const held = this.#heldBy(asker ?? definition);
    const willCleanUp = (cleanup: Cleanup): void => this.#session.willCleanUp(cleanup, held);
    return this.#host.instantiate(definition, { generation: this.generation, willCleanUp });
  }

  cached(demand: CachedDemand): unknown {
    return this.#host.useCached(demand, this);
  }

  lazily(index: number): Promise<unknown> {
    return this.#host.lazily(index);
  }
}

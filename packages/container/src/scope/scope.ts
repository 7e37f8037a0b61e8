import type { Binding, Definition } from "@steward/core";
import type { Need } from "@steward/core/container";
import { runCleanups, type Cleanup, type Outcome } from "./cleanups.ts";
import { containerError } from "../errors.ts";
import { execute } from "./plan-runner.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import type { CachedDemand, Plan, Step, StepHost } from "./plan.ts";
import type { Generation } from "../lifecycle/state.ts";
import {
  enterGenerator,
  inputMissing,
  isNoted,
  type SessionSource,
  type ValueHolder,
  type ValueHost,
} from "./value-holder.ts";
import type { Bounds } from "./bounds.ts";

/** What a scope asks of the container it belongs to. */
export interface ScopeHost extends ValueHost {
  /** Bounds starts and cleanups of all its scopes. */
  readonly bounds: Bounds;
  /** As `lazily`; the scope holds the instance until it ends. */
  lazilyFor(index: number, scope: ScopeState): Promise<unknown>;
  readonly scopes: ScopeRegister;
}

/** Where scopes are known while they are open. */
export interface ScopeRegister {
  closed(scope: ScopeState): void;
  /** Makes a scope that waits hold what is live, once a restart lets it in. */
  enter(scope: ScopeState): Promise<void>;
}

const NO_INPUTS: readonly Binding[] = [];
/** What a slot holds before its step has run. */
const EMPTY: unique symbol = Symbol("empty");

/** Gives inputs that a scope was not opened with. Throws where it has none. */
export type InputProvider = (definition: AnyDefinition) => unknown;

/** One open scope: its inputs, the values made so far, and what has to be undone. */
export class ScopeState implements AsyncDisposable, StepHost, ValueHolder {
  readonly host: ScopeHost;
  /** What it takes its values from. Changed once at most, where it waited. */
  generation: Generation;
  /** True while it holds nothing, because a restart keeps scopes out. */
  waits = false;
  readonly session: SessionSource | undefined;
  /** Neighbours in the container's list of open scopes. */
  before: ScopeState | undefined = undefined;
  after: ScopeState | undefined = undefined;
  readonly #inputs: readonly Binding[];
  #cleanups: Cleanup[] | undefined = undefined;
  #memory: Map<AnyDefinition, unknown> | undefined = undefined;
  #abort: AbortController | undefined = undefined;
  #slots: unknown[] | undefined = undefined;
  #plan: Plan | undefined = undefined;
  #phase: "open" | "settled" | "closed" | "over" | "gone" = "open";
  /** What is made for it, or undone after its end. */
  #underWay = 0;

  /** Asked for inputs that the scope was not opened with. */
  provide: InputProvider | undefined = undefined;

  /** @param generation The one that was pinned for it. */
  constructor(
    host: ScopeHost,
    generation: Generation,
    inputs: readonly Binding[] | undefined,
    session: SessionSource | undefined,
  ) {
    this.host = host;
    this.generation = generation;
    this.session = session;
    this.#inputs = inputs ?? NO_INPUTS;
  }

  /** Aborts when the scope ends, or when its work is given up. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (!this.isOpen) this.#abort.abort(scopeEnded());
    }
    return this.#abort.signal;
  }

  /** True until it is closed. */
  get isOpen(): boolean {
    return this.#phase === "open" || this.#phase === "settled";
  }

  get bounds(): Bounds {
    return this.host.bounds;
  }

  /** Gives up the work of this scope: aborts its signal. Its cleanup still runs when it is closed. */
  abort(reason?: unknown): void {
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }

  /** Resolves a plan as this scope's first; gives a promise when it had to wait. */
  enterPlan(plan: Plan): Promise<void> | undefined {
    this.#slots = this.#slotsFor(plan);
    this.#plan = plan;
    const entering = execute(plan, this, this.#slots, this.generation.values);
    return entering === undefined ? undefined : this.#holdDuring(entering);
  }

  /** Holds what it took its values from until some work is over, also when it is closed before. */
  async #holdDuring(work: Promise<unknown>): Promise<void> {
    this.#underWay++;
    try {
      await work;
    } finally {
      this.#underWay--;
      this.#letGo();
    }
  }

  /** Holds nothing any more once it has ended and nothing is made for it or undone. */
  #letGo(): void {
    if (this.#phase !== "over" || this.#underWay > 0) return;
    this.#phase = "gone";
    this.host.scopes.closed(this);
  }

  #end(): void {
    this.#phase = "over";
    this.#abort?.abort(scopeEnded());
    this.#letGo();
  }

  /** What the first plan was asked for. */
  get result(): Record<string, unknown> {
    if (this.#plan === undefined || this.#slots === undefined) return {};
    return this.#plan.result(this.#slots, this.generation.values, this);
  }

  #slotsFor(plan: Plan): unknown[] {
    const slots = new Array<unknown>(plan.size).fill(EMPTY);
    const { inputs } = plan;
    for (let i = 0; i < inputs.length; i++) {
      const wanted = inputs[i];
      if (wanted !== undefined)
        slots[wanted.slot] =
          this.#inputs[i]?.input === wanted.definition ? this.#inputs[i]?.value : this.#inputValue(wanted.definition);
    }
    return slots;
  }

  /** The value of an input of this scope; those of its session have theirs from there. */
  #inputValue(definition: AnyDefinition): unknown {
    for (const binding of this.#inputs) if (binding.input === definition) return binding.value;
    if (this.provide !== undefined) return this.provide(definition);
    throw inputMissing(definition);
  }

  /** The value of one definition; what was made already is not made again. */
  async get<V>(definition: Definition<V, string, string>): Promise<V> {
    this.#refuseClosed();
    const made = this.#made(definition);
    const { value } = made ?? (await this.resolve({ value: definition }));
    return value as V; // the plan made it of this definition
  }

  /** The values of needs. */
  async resolve(needs: Readonly<Record<string, Need>>): Promise<Record<string, unknown>> {
    this.#refuseClosed();
    if (this.waits) {
      await this.host.scopes.enter(this);
      this.#refuseClosed();
    }
    const { values } = this.generation;
    const plan = this.host.planFor(this.generation, needs, "later");
    const slots = this.#slotsFor(plan);
    const entering = execute(plan, this, slots, values);
    if (entering !== undefined) await this.#holdDuring(entering);
    return plan.result(slots, values, this);
  }

  #refuseClosed(): void {
    if (!this.isOpen)
      throw containerError("SCOPE_CLOSED", "the scope is closed; take what you need from it before its work settles");
  }

  remember(step: Step, make: () => unknown): unknown {
    const definition = step.definition;
    if (definition === undefined) return make();
    const made = this.#made(definition);
    if (made !== undefined) return made.value;
    const value = make();
    this.#memory ??= new Map<AnyDefinition, unknown>();
    this.#memory.set(definition, value);
    return value;
  }

  forget({ definition }: Step): void {
    if (definition !== undefined) this.#memory?.delete(definition);
  }

  #made(definition: AnyDefinition): { readonly value: unknown } | undefined {
    if (this.#memory?.has(definition) === true) return { value: this.#memory.get(definition) };
    const slot = this.#plan?.slots.get(definition);
    const value = slot === undefined ? EMPTY : this.#slots?.[slot];
    return value === EMPTY ? undefined : { value };
  }

  enter(definition: AnyDefinition, generator: unknown, handler: boolean): unknown {
    return enterGenerator(this, definition, generator, handler);
  }

  willStop(step: Step, value: unknown): void {
    const { definition, handler, stop } = step;
    if (definition === undefined || (step.remembered && isNoted(this.#cleanups, step, value))) return;
    this.willCleanUp({ definition, handler, generator: undefined, stop, value });
  }

  /** Notes what has to be undone. What arrives after the end, because it ignored its signal, is undone at once. */
  willCleanUp(cleanup: Cleanup): void {
    (this.#cleanups ??= []).push(cleanup);
    if (!this.isOpen) void this.#holdDuring(runCleanups([cleanup], { error: scopeEnded() }, this, this.bounds));
  }

  fromSession(definition: AnyDefinition): unknown {
    if (this.session !== undefined) return this.session.get(definition, this.generation);
    throw containerError(
      "SESSION_MISSING",
      `"${definition.name}" belongs to a session: open the scope with running.session(key).scope(...)`,
      { resource: definition.name },
    );
  }

  instantiate(definition: AnyDefinition): Promise<unknown> {
    return this.host.instantiate(definition, this);
  }

  cached(demand: CachedDemand): unknown {
    return this.host.useCached(demand, this);
  }

  lazily(index: number): Promise<unknown> {
    return this.host.lazilyFor(index, this);
  }

  /** True when ending it takes no waiting. */
  get endsAtOnce(): boolean {
    return this.#cleanups === undefined;
  }

  /** True when nothing has to be done between the handler and the reply. */
  get settlesAtOnce(): boolean {
    const cleanups = this.#cleanups;
    if (cleanups === undefined) return true;
    for (const cleanup of cleanups) if (cleanup.handler) return false;
    return true;
  }

  /** Ends a scope that has nothing to undo. */
  endAtOnce(): void {
    if (this.isOpen) this.#end();
  }

  /**
   * The handler has settled: runs what has to be done before a reply is sent, such as a commit.
   * @throws What the handler failed with, with failures of cleanup attached; or what a cleanup failed with.
   */
  async settle(failure?: { readonly error: unknown }): Promise<void> {
    if (this.#phase !== "open") return;
    this.#phase = "settled";
    const due = this.#due(isOfHandler);
    if (due === undefined) return rethrow(failure);
    const { outcome, later } = await runCleanups(due, failure, this, this.bounds); // here and not in a function of its own: a promise less for each request
    if (later.length > 0) (this.#cleanups ??= []).push(...later);
    rethrow(outcome);
  }

  /**
   * The response has ended: releases everything that is left, also after an abort.
   * @throws What it ended with, with failures of cleanup attached; or what a cleanup failed with.
   */
  async close(failure?: { readonly error: unknown }): Promise<void> {
    if (!this.isOpen) return;
    let outcome: Outcome = failure;
    if (this.#phase === "open")
      outcome = await this.settle(failure).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
    this.#phase = "closed";
    try {
      const due = this.#due(() => true);
      if (due !== undefined) outcome = (await runCleanups(due, outcome, this, this.bounds)).outcome;
    } finally {
      this.#end();
    }
    if (outcome !== undefined) throw outcome.error;
  }

  /** Takes out the cleanups whose moment it is; `undefined` for none. */
  #due(now: (cleanup: Cleanup) => boolean): readonly Cleanup[] | undefined {
    const all = this.#cleanups;
    if (all === undefined) return undefined;
    const due = all.filter(now);
    if (due.length === 0) return undefined;
    this.#cleanups = due.length === all.length ? undefined : all.filter((cleanup) => !now(cleanup));
    return due;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function isOfHandler(cleanup: Cleanup): boolean {
  return cleanup.handler;
}

function rethrow(outcome: Outcome): void {
  if (outcome !== undefined) throw outcome.error;
}

function scopeEnded(): Error {
  return containerError("SCOPE_CLOSED", "the scope has ended");
}

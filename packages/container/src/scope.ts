import type { Binding, Definition, Need, Needs } from "@steward/core";
import type { Generation } from "./assembly.ts";
import { containerError } from "./errors.ts";
import { isThenable } from "./execute.ts";
import { runExits, type Exit, type LifecycleGenerator, type Outcome } from "./exits.ts";
import type { AnyDefinition } from "./graph.ts";
import { didNotYield } from "./plain.ts";
import type { Plan, PlanKind, Step } from "./plan.ts";

/** What a scope asks of the container it belongs to. */
export interface ScopeHost {
  /** The plan of a set of needs. */
  planFor(needs: Needs, kind: PlanKind): Plan;
  /** Starts an instance for this scope alone. */
  instantiate(definition: AnyDefinition, scope: ScopeState): Promise<unknown>;
  /** An instance of a cached need; the scope gives it back when it ends. */
  borrowCached(definition: AnyDefinition, ttlMs: number, scope: ScopeState): unknown;
  scopeClosed(scope: ScopeState): void;
}

const NO_INPUTS: readonly Binding[] = [];

/** Gives inputs that a scope was not opened with. Throws where it has none. */
export type InputProvider = (definition: AnyDefinition) => unknown;

/** A step whose value has to be waited for, and the step behind it. */
interface Waiting {
  readonly value: PromiseLike<unknown>;
  readonly step: Step;
  readonly next: number;
}

/** Says that `#drive` has something to wait for; nobody waits for this promise itself. */
const WAITING: Promise<void> = Promise.resolve();

/** One open scope: its inputs, the values made so far, and what has to be undone. */
export class ScopeState implements AsyncDisposable {
  readonly host: ScopeHost;
  readonly generation: Generation;
  readonly session: ScopeState | undefined;
  /** Neighbours in the container's list of open scopes. */
  before: ScopeState | undefined = undefined;
  after: ScopeState | undefined = undefined;
  readonly #inputs: readonly Binding[];
  #exits: Exit[] | undefined = undefined;
  #memory: Map<AnyDefinition, unknown> | undefined = undefined;
  #abort: AbortController | undefined = undefined;
  #slots: unknown[] | undefined = undefined;
  #plan: Plan | undefined = undefined;
  #complete = false;
  /** True while steps run on behalf of `#drive`, which looks at `#waiting` next. */
  #driving = false;
  #waiting: Waiting | undefined = undefined;
  #phase: "open" | "settled" | "closed" = "open";

  readonly #kind: PlanKind;
  /** Asked for inputs that the scope was not opened with. */
  provide: InputProvider | undefined = undefined;

  constructor(
    host: ScopeHost,
    generation: Generation,
    inputs: readonly Binding[] | undefined,
    session: ScopeState | undefined,
    kind: PlanKind = "later",
  ) {
    this.#kind = kind;
    this.host = host;
    this.generation = generation;
    this.session = session;
    this.#inputs = inputs ?? NO_INPUTS;
    generation.borrowers++;
  }

  /** Aborts when the scope ends, or when its work is given up. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#phase === "closed") this.#abort.abort(scopeEnded());
    }
    return this.#abort.signal;
  }

  /** True until it is closed. */
  get isOpen(): boolean {
    return this.#phase !== "closed";
  }

  /** Gives up the work of this scope: aborts its signal. Its cleanup still runs when it is closed. */
  abort(reason?: unknown): void {
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }

  /** Resolves a plan as this scope's first; gives a promise when it had to wait. */
  enterPlan(plan: Plan): Promise<void> | undefined {
    const slots = new Array<unknown>(plan.size).fill(undefined);
    this.#fill(plan, slots);
    this.#slots = slots;
    this.#plan = plan;
    const pending = this.#run(plan, slots);
    if (pending === undefined) this.#complete = true;
    return pending;
  }

  /** Runs a plan from its start. One that is run from within another's step waits on its own. */
  #run(plan: Plan, slots: unknown[]): Promise<void> | undefined {
    const outer = this.#driving;
    this.#driving = false;
    try {
      return plan.run(this, slots, this.generation.values, 0);
    } finally {
      this.#driving = outer;
    }
  }

  /** What the first plan was asked for. */
  get result(): Record<string, unknown> {
    if (this.#plan === undefined || this.#slots === undefined) return {};
    return this.#plan.result(this.#slots, this.generation.values, this);
  }

  #fill(plan: Plan, slots: unknown[]): void {
    const { inputs } = plan;
    for (let i = 0; i < inputs.length; i++) {
      const wanted = inputs[i];
      if (wanted !== undefined)
        slots[wanted.slot] =
          this.#inputs[i]?.input === wanted.definition ? this.#inputs[i]?.value : this.inputValue(wanted.definition);
    }
  }

  /** The value of an input, from this scope or its session. */
  inputValue(definition: AnyDefinition): unknown {
    for (const binding of this.#inputs) if (binding.input === definition) return binding.value;
    if (this.session !== undefined && definition.lifetime === "session") return this.session.inputValue(definition);
    if (this.provide !== undefined) return this.provide(definition);
    throw containerError(
      "INPUT_MISSING",
      `the input "${definition.name}" has no value: give ${definition.name}.is(...) where the ${definition.lifetime === "session" ? "session" : "scope"} opens`,
      { resource: definition.name },
    );
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
    const plan = this.host.planFor(needs, this.#kind);
    const slots = new Array<unknown>(plan.size).fill(undefined);
    this.#fill(plan, slots);
    await this.#run(plan, slots);
    return plan.result(slots, this.generation.values, this);
  }

  #refuseClosed(): void {
    if (this.#phase === "closed")
      throw containerError("SCOPE_CLOSED", "the scope is closed; take what you need from it before its work settles");
  }

  /** The value that a step made before, or makes now; both at most once. */
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

  #made(definition: AnyDefinition): { readonly value: unknown } | undefined {
    if (this.#memory?.has(definition) === true) return { value: this.#memory.get(definition) };
    const slot = this.#complete ? this.#plan?.slots.get(definition) : undefined;
    return slot === undefined ? undefined : { value: this.#slots?.[slot] };
  }

  /** Waits for a step's value, then goes on with the steps behind it. */
  wait(value: PromiseLike<unknown>, step: Step, slots: unknown[], next: number, run: Plan["run"]): Promise<void> {
    const waiting = { value, step, next };
    if (!this.#driving) return this.#drive(waiting, slots, run);
    this.#waiting = waiting;
    return WAITING;
  }

  /** One promise for all steps of a plan that have to be waited for, however many there are. */
  async #drive(first: Waiting, slots: unknown[], run: Plan["run"]): Promise<void> {
    for (
      let waiting: Waiting | undefined = first;
      waiting !== undefined;
      waiting = this.#goOn(slots, waiting.next, run)
    ) {
      const { step, value } = waiting;
      const made = await value;
      slots[step.slot] = made;
      if (step.stop !== undefined && made !== undefined) this.willStop(step, made);
    }
    if (slots === this.#slots) this.#complete = true;
  }

  #goOn(slots: unknown[], next: number, run: Plan["run"]): Waiting | undefined {
    this.#driving = true;
    try {
      return run(this, slots, this.generation.values, next) === undefined ? undefined : this.#waiting;
    } finally {
      this.#driving = false;
      this.#waiting = undefined;
    }
  }

  /** Enters a lifecycle generator and gives its value, or a promise of it. */
  enter(name: string, generator: unknown, handler: boolean): unknown {
    const lifecycle = generator as LifecycleGenerator; // the definition's start is a generator function
    const first = lifecycle.next();
    return isThenable(first)
      ? first.then((result) => this.#entered(name, lifecycle, handler, result as IteratorResult<unknown>))
      : this.#entered(name, lifecycle, handler, first as IteratorResult<unknown>);
  }

  #entered(name: string, generator: LifecycleGenerator, handler: boolean, first: IteratorResult<unknown>): unknown {
    if (first.done === true) throw didNotYield(name);
    this.willExit({ name, handler, generator, stop: undefined, value: undefined });
    return first.value;
  }

  /** Notes that a value has to be stopped. Once for each value, however many plans hand it out. */
  willStop(step: Step, value: unknown): void {
    if (step.remembered && this.#exits?.some((exit) => exit.value === value && exit.stop === step.stop) === true)
      return;
    this.willExit({ name: step.name, handler: step.handler, generator: undefined, stop: step.stop, value });
  }

  /** Notes what has to be undone. */
  willExit(exit: Exit): void {
    (this.#exits ??= []).push(exit);
  }

  /** A value of the session that this scope belongs to. */
  fromSession(definition: AnyDefinition): unknown {
    if (this.session !== undefined) return this.session.get(definition);
    throw containerError(
      "SESSION_MISSING",
      `"${definition.name}" belongs to a session: open the scope with running.session(key).scope(...)`,
      { resource: definition.name },
    );
  }

  instantiate(definition: AnyDefinition): Promise<unknown> {
    return this.host.instantiate(definition, this);
  }

  cached(definition: AnyDefinition, ttlMs: number): unknown {
    return this.host.borrowCached(definition, ttlMs, this);
  }

  /** True when ending it takes no waiting. */
  get endsAtOnce(): boolean {
    return this.#exits === undefined;
  }

  /** True when nothing has to be done between the handler and the reply. */
  get settlesAtOnce(): boolean {
    const exits = this.#exits;
    if (exits === undefined) return true;
    for (const exit of exits) if (exit.handler) return false;
    return true;
  }

  /** Ends a scope that has nothing to undo. */
  endAtOnce(): void {
    this.#phase = "closed";
    this.#abort?.abort(scopeEnded());
    this.host.scopeClosed(this);
  }

  /**
   * The handler has settled: runs what has to be done before a reply is sent, such as a commit.
   * @throws What the handler failed with, or what a cleanup made of it.
   */
  async settle(failure?: { readonly error: unknown }): Promise<void> {
    if (this.#phase !== "open") return;
    this.#phase = "settled";
    const due = this.#due(isOfHandler);
    if (due === undefined) return rethrow(failure);
    const { outcome, later } = await runExits(due, failure, this); // here and not in a function of its own: a promise less for each request
    if (later.length > 0) (this.#exits ??= []).push(...later);
    rethrow(outcome);
  }

  /**
   * The response has ended: releases everything that is left, also after an abort.
   * @throws What it ended with, or what a cleanup made of it.
   */
  async close(failure?: { readonly error: unknown }): Promise<void> {
    if (this.#phase === "closed") return;
    let outcome: Outcome = failure;
    if (this.#phase === "open")
      outcome = await this.settle(failure).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
    this.#phase = "closed";
    try {
      outcome = await this.#runExits(() => true, outcome);
    } finally {
      this.#abort?.abort(scopeEnded());
      this.host.scopeClosed(this);
    }
    if (outcome !== undefined) throw outcome.error;
  }

  async #runExits(now: (exit: Exit) => boolean, outcome: Outcome): Promise<Outcome> {
    const due = this.#due(now);
    if (due === undefined) return outcome;
    const exited = await runExits(due, outcome, this);
    if (exited.later.length > 0) (this.#exits ??= []).push(...exited.later);
    return exited.outcome;
  }

  /** Takes out the exits whose moment it is; `undefined` for none. */
  #due(now: (exit: Exit) => boolean): readonly Exit[] | undefined {
    const all = this.#exits;
    if (all === undefined) return undefined;
    const due = all.filter(now);
    if (due.length === 0) return undefined;
    this.#exits = due.length === all.length ? undefined : all.filter((exit) => !now(exit));
    return due;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function isOfHandler(exit: Exit): boolean {
  return exit.handler;
}

function rethrow(outcome: Outcome): void {
  if (outcome !== undefined) throw outcome.error;
}

function scopeEnded(): Error {
  return containerError("SCOPE_CLOSED", "the scope has ended");
}

import { isThenable, plainValue, specOf } from "@steward/core/container";
import { setNeed } from "../graph/set-need.ts";
import { containerError } from "../errors.ts";
import { Wait, type Subject } from "./bounds.ts";
import type { Plan, Source, Step, StepHost, Waiting } from "./plan.ts";

type Reader = (slots: readonly unknown[], values: readonly unknown[], host: StepHost) => unknown;

/** Runs a plan from its start: in the same tick, or gives a promise when it had to wait. */
export function execute(
  plan: Plan,
  host: StepHost,
  slots: unknown[],
  values: readonly unknown[],
): Promise<void> | undefined {
  const waiting = plan.run(host, slots, values, 0);
  if (waiting === undefined) return undefined;
  return new Promise((resolve, reject) =>
    new Drive(plan.run, host, slots, values, { resolve, reject }).waitFor(waiting),
  );
}

/** One promise for all steps of a plan that have to be waited for, however many there are. */
class Drive extends Wait {
  readonly #run: Plan["run"];
  readonly #host: StepHost;
  readonly #slots: unknown[];
  readonly #values: readonly unknown[];
  readonly #outcome: { readonly resolve: () => void; readonly reject: (error: unknown) => void };
  #waiting: Waiting | undefined;

  constructor(
    run: Plan["run"],
    host: StepHost,
    slots: unknown[],
    values: readonly unknown[],
    outcome: { readonly resolve: () => void; readonly reject: (error: unknown) => void },
  ) {
    super();
    this.#run = run;
    this.#host = host;
    this.#slots = slots;
    this.#values = values;
    this.#outcome = outcome;
  }

  waitFor(waiting: Waiting): void {
    this.#waiting = waiting;
    if (waiting.step.definition !== undefined) this.#host.bounds.add(this); // others are bounded where they are made
    const { turn } = this;
    waiting.value.then(
      (value) => {
        if (turn === this.turn) this.#arrived(waiting, value);
      },
      (error: unknown) => {
        if (turn !== this.turn) return;
        this.#host.bounds.remove(this);
        this.#outcome.reject(error);
      },
    );
  }

  #arrived({ step, next }: Waiting, value: unknown): void {
    const host = this.#host;
    this.#host.bounds.remove(this);
    try {
      this.#slots[step.slot] = value;
      if (step.stop !== undefined && value !== undefined) host.willStop(step, value);
      if (!host.isOpen)
        throw containerError("SCOPE_CLOSED", "the scope was closed while its needs were being resolved");
      const waiting = this.#run(host, this.#slots, this.#values, next);
      if (waiting === undefined) this.#outcome.resolve();
      else this.waitFor(waiting);
    } catch (error) {
      this.#outcome.reject(error);
    }
  }

  get subject(): Subject | undefined {
    const definition = this.#waiting?.step.definition;
    return definition && { definition, phase: "start", context: undefined };
  }

  override giveUp(reason: Error): void {
    const { step, value } = this.#waiting ?? {};
    if (step !== undefined && value !== undefined) {
      this.#host.forget(step);
      const late = (made: unknown): void => {
        if (step.stop !== undefined && made !== undefined) this.#host.willStop(step, made);
      };
      value.then(late, () => {}); // that it is late is what its caller has learned
    }
    this.#outcome.reject(reason);
  }
}

/** Runs a plan step by step. What every plan begins with, and all there is where code generation is forbidden. */
export function interpreter(
  steps: readonly Step[],
  keys: readonly string[],
  sources: readonly Source[],
): Pick<Plan, "run" | "result"> {
  const readers = steps.map((step) => builder(step.keys, step.sources));
  const result = builder(keys, sources);
  const run: Plan["run"] = (host, slots, values, from) => {
    for (let i = from; i < steps.length; i++) {
      const step = steps[i];
      const build = readers[i];
      if (step === undefined || build === undefined) break;
      const value = step.remembered
        ? host.remember(step, () => step.call(build(slots, values, host), host))
        : step.call(build(slots, values, host), host);
      if (isThenable(value)) return { value: value.then((made) => checked(step, made)), step, next: i + 1 };
      slots[step.slot] = checked(step, value);
      if (step.stop !== undefined && value !== undefined) host.willStop(step, value);
    }
    return undefined;
  };
  return { run, result };
}

/** Looked at in the first runs only, before a plan is compiled: a start that returns a generator does so from the first on. */
function checked({ definition }: Step, value: unknown): unknown {
  return definition === undefined || specOf(definition).generator ? value : plainValue(definition.name, value);
}

function builder(
  keys: readonly string[],
  sources: readonly Source[],
): (slots: readonly unknown[], values: readonly unknown[], host: StepHost) => Record<string, unknown> {
  const readers = sources.map(reader);
  return (slots, values, host) => {
    const built: Record<string, unknown> = {};
    for (let i = 0; i < keys.length; i++) setNeed(built, keys[i] ?? "", readers[i]?.(slots, values, host));
    return built;
  };
}

function reader(source: Source): Reader {
  switch (source.kind) {
    case "slot":
      return (slots) => slots[source.index];
    case "application":
      return (_slots, values) => values[source.index];
    case "constant":
      return () => source.value;
    case "made":
      return (_slots, _values, host) => source.make(host);
    case "choice": {
      const [condition, whenTrue, whenFalse] = [
        reader(source.condition),
        reader(source.whenTrue),
        reader(source.whenFalse),
      ];
      return (slots, values, host) =>
        (condition(slots, values, host) === true ? whenTrue : whenFalse)(slots, values, host);
    }
  }
}

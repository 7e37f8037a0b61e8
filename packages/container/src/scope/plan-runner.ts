import { isThenable, plainValue, specOf } from "@steward/core";
import { setNeed } from "../graph/set-need.ts";
import { containerError } from "../errors.ts";
import type { Plan, Source, Step, StepHost, Waiting } from "./plan.ts";

type Reader = (slots: readonly unknown[], values: readonly unknown[], host: StepHost) => unknown;

/** Runs a plan from its start: in the same tick, or gives a promise when it had to wait. */
export function execute(
  plan: Plan,
  host: StepHost,
  slots: unknown[],
  values: readonly unknown[],
): Promise<void> | undefined {
  const { run } = plan;
  const waiting = run(host, slots, values, 0);
  return waiting === undefined ? undefined : drive(run, waiting, host, slots, values);
}

/** One promise for all steps of a plan that have to be waited for, however many there are. */
async function drive(
  run: Plan["run"],
  first: Waiting,
  host: StepHost,
  slots: unknown[],
  values: readonly unknown[],
): Promise<void> {
  for (let waiting: Waiting | undefined = first; waiting !== undefined;) {
    const { step, value, next } = waiting;
    const made = await value;
    slots[step.slot] = made;
    if (step.stop !== undefined && made !== undefined) host.willStop(step, made);
    if (!host.isOpen) throw containerError("SCOPE_CLOSED", "the scope was closed while its needs were being resolved");
    waiting = run(host, slots, values, next);
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

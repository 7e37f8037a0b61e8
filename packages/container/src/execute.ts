import { plainValue, specOf } from "@steward/core";
import type { Plan, Source, Step } from "./plan.ts";
import type { ScopeState } from "./scope.ts";

type Run = Plan["run"];
type Result = Plan["result"];
type Reader = (slots: readonly unknown[], values: readonly unknown[], scope: ScopeState) => unknown;

/** After how many runs a plan is worth compiling to JavaScript. */
const COMPILE_AFTER = 20;

/** Tells whether a value has to be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Runs a plan step by step. What every plan begins with, and all there is where code generation is forbidden. */
export function interpreter(
  steps: readonly Step[],
  keys: readonly string[],
  sources: readonly Source[],
): { run: Run; result: Result } {
  const readers = steps.map((step) => builder(step.keys, step.sources));
  const result = builder(keys, sources);
  const run: Run = (scope, slots, values, from) => {
    for (let i = from; i < steps.length; i++) {
      const step = steps[i];
      const build = readers[i];
      if (step === undefined || build === undefined) break;
      const value = step.remembered
        ? scope.remember(step, () => step.call(build(slots, values, scope), scope))
        : step.call(build(slots, values, scope), scope);
      if (isThenable(value))
        return scope.wait(
          value.then((made) => checked(step, made)),
          step,
          slots,
          i + 1,
          run,
        );
      slots[step.slot] = checked(step, value);
      if (step.stop !== undefined && value !== undefined) scope.willStop(step, value);
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
): (slots: readonly unknown[], values: readonly unknown[], scope: ScopeState) => Record<string, unknown> {
  const readers = sources.map(reader);
  return (slots, values, scope) => {
    const built: Record<string, unknown> = {};
    for (let i = 0; i < keys.length; i++) built[keys[i] ?? ""] = readers[i]?.(slots, values, scope);
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
      return (_slots, _values, scope) => source.make(scope);
    case "choice": {
      const [condition, whenTrue, whenFalse] = [
        reader(source.condition),
        reader(source.whenTrue),
        reader(source.whenFalse),
      ];
      return (slots, values, scope) =>
        (condition(slots, values, scope) === true ? whenTrue : whenFalse)(slots, values, scope);
    }
  }
}

/** Replaces the interpreter by generated code once the plan has proven to be in use. */
export function tierUp(plan: Plan, sources: readonly Source[]): Plan {
  if (plan.steps.some((step) => step.remembered)) return plan;
  const interpret = plan.run;
  let runs = 0;
  plan.run = (scope, slots, values, from) => {
    if (++runs === COMPILE_AFTER) {
      const compiled = compile(plan, sources);
      plan.run = compiled?.run ?? interpret;
      plan.result = compiled?.result ?? plan.result;
    }
    return interpret(scope, slots, values, from);
  };
  return plan;
}

/** The plan as one straight function: object literals of known shape, and every call site its own. */
function compile(plan: Plan, sources: readonly Source[]): { run: Run; result: Result } | undefined {
  const constants: unknown[] = [];
  const cases = plan.steps.map((step, i) => stepCode(step, i, constants));
  const result = literal(plan.keys, sources, constants);
  const source = `
    const run = (scope, s, a, from) => {
      let v;
      switch (from) {
        ${cases.join("\n")}
      }
      return undefined;
    };
    return { run, result: (s, a, scope) => (${result}) };`;
  try {
    return new Function("c", source)(constants) as { run: Run; result: Result }; // the source above says so
  } catch (error) {
    if (error instanceof EvalError) return undefined; // --disallow-code-generation-from-strings
    throw error;
  }
}

function stepCode(step: Step, index: number, constants: unknown[]): string {
  const call = constant(step.call, constants);
  const self = constant(step, constants);
  const stop = step.stop === undefined ? "" : `if (v !== undefined) scope.willStop(${self}, v);`;
  return `case ${index}:
    v = (0, ${call})(${literal(step.keys, step.sources, constants)}, scope);
    if (typeof v === "object" && v !== null && typeof v.then === "function") return scope.wait(v, ${self}, s, ${index + 1}, run);
    s[${step.slot}] = v; ${stop}`;
}

function literal(keys: readonly string[], sources: readonly Source[], constants: unknown[]): string {
  const properties = keys.map((key, i) => {
    const source = sources[i];
    return `${key === "__proto__" ? `["__proto__"]` : JSON.stringify(key)}: ${source === undefined ? "undefined" : expression(source, constants)}`;
  });
  return `{ ${properties.join(", ")} }`;
}

function expression(source: Source, constants: unknown[]): string {
  switch (source.kind) {
    case "slot":
      return `s[${source.index}]`;
    case "application":
      return `a[${source.index}]`;
    case "constant":
      return constant(source.value, constants);
    case "made":
      return `${constant(source.make, constants)}(scope)`;
    case "choice":
      return `(${expression(source.condition, constants)} === true ? ${expression(source.whenTrue, constants)} : ${expression(source.whenFalse, constants)})`;
  }
}

function constant(value: unknown, constants: unknown[]): string {
  constants.push(value);
  return `c[${constants.length - 1}]`;
}

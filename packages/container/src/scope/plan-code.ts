import type { Plan, Source, Step } from "./plan.ts";

/** After how many runs a plan is worth compiling to JavaScript. */
const COMPILE_AFTER = 20;

/** Replaces the interpreter by generated code once the plan has proven to be in use. */
export function compileWhenHot(plan: Plan, sources: readonly Source[]): Plan {
  if (plan.steps.some((step) => step.remembered)) return plan;
  const interpret = plan.run;
  let runs = 0;
  plan.run = (host, slots, values, from) => {
    if (++runs === COMPILE_AFTER) {
      const compiled = compile(plan, sources);
      plan.run = compiled?.run ?? interpret;
      plan.result = compiled?.result ?? plan.result;
    }
    return interpret(host, slots, values, from);
  };
  return plan;
}

/** The plan as one straight function: object literals of known shape, and every call site its own. */
function compile(plan: Plan, sources: readonly Source[]): Pick<Plan, "run" | "result"> | undefined {
  const constants: unknown[] = [];
  const cases = plan.steps.map((step, i) => stepCode(step, i, constants));
  const result = literal(plan.keys, sources, constants);
  const source = `
    const run = (host, s, a, from) => {
      let v;
      switch (from) {
        ${cases.join("\n")}
      }
      return undefined;
    };
    return { run, result: (s, a, host) => (${result}) };`;
  try {
    return new Function("c", source)(constants) as Pick<Plan, "run" | "result">; // the source above says so
  } catch (error) {
    if (error instanceof EvalError) return undefined; // --disallow-code-generation-from-strings
    throw error;
  }
}

function stepCode(step: Step, index: number, constants: unknown[]): string {
  const call = constant(step.call, constants);
  const self = constant(step, constants);
  const stop = step.stop === undefined ? "" : `if (v !== undefined) host.willStop(${self}, v);`;
  return `case ${index}:
    v = (0, ${call})(${literal(step.keys, step.sources, constants)}, host);
    if (typeof v === "object" && v !== null && typeof v.then === "function") return { value: v, step: ${self}, next: ${index + 1} };
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
      return `${constant(source.make, constants)}(host)`;
    case "choice":
      return `(${expression(source.condition, constants)} === true ? ${expression(source.whenTrue, constants)} : ${expression(source.whenFalse, constants)})`;
  }
}

function constant(value: unknown, constants: unknown[]): string {
  constants.push(value);
  return `c[${constants.length - 1}]`;
}

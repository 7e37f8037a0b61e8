import { StewardError } from "../errors.ts";

declare const AFTER_REPLY: unique symbol;

/** The type of {@link afterReply}. */
export interface AfterReply {
  readonly [AFTER_REPLY]: true;
}

/**
 * What a `handler` generator may yield a second time: what stands before it is commit and runs before the reply is
 * sent, what stands after it is release and runs when the response has ended.
 */
export const afterReply = Symbol.for("steward.afterReply") as unknown as AfterReply; // a symbol with a type of its own

const WRAPPED = Symbol.for("steward.generator");
const GeneratorFunction = Object.getPrototypeOf(function* () {}).constructor;
const AsyncGeneratorFunction = Object.getPrototypeOf(async function* () {}).constructor;

/**
 * Marks a wrapped function as a lifecycle generator. Generator functions are recognised by themselves; a decorated
 * or bound one that merely returns a generator is not, and needs this.
 */
export function generator<F extends (...args: never[]) => Generator | AsyncGenerator>(start: F): F {
  const marked = ((...args: never[]) => start(...args)) as F; // same signature, new identity: the mark must not leak to `start`
  return Object.assign(marked, { [WRAPPED]: true });
}

/** Whether a start function is a lifecycle generator. */
export function isGeneratorFunction(start: unknown): boolean {
  return (
    start instanceof GeneratorFunction ||
    start instanceof AsyncGeneratorFunction ||
    (typeof start === "function" && WRAPPED in start)
  );
}

/**
 * The value of a plain start. A generator is none: its function was wrapped, so nothing shows that it is a lifecycle
 * generator, and it would be handed to others as it is.
 *
 * @throws {DEFINITION_INVALID} for the object of a generator.
 */
export function plainValue(name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !(Symbol.toStringTag in value)) return value;
  const tag = value[Symbol.toStringTag];
  if (tag !== "Generator" && tag !== "AsyncGenerator") return value;
  throw new StewardError(
    "DEFINITION_INVALID",
    `resource "${name}": its start is no generator function but returned a generator; write start: generator(fn), so that what it yields is the value`,
    { resource: name },
  );
}

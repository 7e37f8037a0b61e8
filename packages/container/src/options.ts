import {
  isDefinition,
  listOf,
  milliseconds,
  recognised,
  type Rule,
  shape,
  type Shape,
  withMethods,
} from "@steward/core/container";

const UNDEFINED_HINT = "a definition (where it is undefined, most often two modules import each other)";

/** What the roots of a container must be. */
export const rootsRule = (): Rule => listOf(recognised(isDefinition, UNDEFINED_HINT));

/** What can be overridden. */
export const definitionRule = (): Rule => recognised(isDefinition, UNDEFINED_HINT);

/** What the inputs of a container or scope must be. */
export const inputsRule = (): Rule =>
  listOf(
    recognised(
      (value) => typeof value === "object" && value !== null && "input" in value && isDefinition(value.input),
      "an input with its value, made by input.is(value)",
    ),
  );

/** Where time comes from. */
export const clockRule = (): Rule => withMethods("a clock", "now", "wallNow", "setTimeout", "sleep");

/** How a container is stopped. */
export interface StopOptions {
  /** Longest drain and stop in all, in ms. Default: the drain and stop timeouts of the container. */
  readonly timeoutMs?: number | undefined;
}

/** What the options of a stop must be. */
export const stopShape: Shape<StopOptions> = /* @__PURE__ */ shape<StopOptions>(() => ({ timeoutMs: milliseconds(0) }));

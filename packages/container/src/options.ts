import {
  assertShape,
  isDefinition,
  listOf,
  milliseconds,
  recognised,
  type Rule,
  shape,
  type Shape,
  signal,
  withMethods,
} from "@steward/core/container";
import type { CallerOptions } from "./lifecycle/caller.ts";

const UNDEFINED_HINT = "a definition (where it is undefined, most often two modules import each other)";

/** What the roots of a container must be. */
export const rootsRule = (): Rule => listOf(recognised(isDefinition, UNDEFINED_HINT));

const DEFINITION = /* @__PURE__ */ recognised(isDefinition, UNDEFINED_HINT);

/** @throws {OPTIONS_INVALID} when a function was handed no definition. */
export function assertDefinition(entry: string, value: unknown): void {
  if (!isDefinition(value)) assertShape(entry, DEFINITION, value);
}

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

/** How long the caller of a restart waits. */
export type RestartOptions = CallerOptions;

/** What the options of a restart must be. */
export const restartShape: Shape<RestartOptions> = /* @__PURE__ */ shape<RestartOptions>(() => ({
  signal: signal(),
  timeoutMs: milliseconds(0),
}));

/** How a container is stopped. */
export interface StopOptions {
  /** Longest drain and stop in all, in ms. Default: the drain and stop timeouts of the container. */
  readonly timeoutMs?: number | undefined;
}

/** What the options of a stop must be. */
export const stopShape: Shape<StopOptions> = /* @__PURE__ */ shape<StopOptions>(() => ({ timeoutMs: milliseconds(0) }));

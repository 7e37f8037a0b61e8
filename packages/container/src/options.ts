import {
  func,
  isDefinition,
  listOf,
  literalOr,
  milliseconds,
  recognised,
  shape,
  signal,
  text,
  wholeNumber,
  withMethods,
  type Rule,
  type Shape,
} from "@steward/core";
import type { ContainerOptions, StartOptions } from "./container.ts";
import type { MonitorOptions } from "./health-monitor.ts";
import type { SessionOptions } from "./sessions.ts";

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

const sessions: Shape<SessionOptions> = /* @__PURE__ */ shape<SessionOptions>(() => ({
  idleTimeoutMs: milliseconds(),
  maxLifetimeMs: milliseconds(),
  max: wholeNumber(1),
}));

const health: Shape<MonitorOptions> = /* @__PURE__ */ shape<MonitorOptions>(() => ({
  intervalMs: milliseconds(),
  suspectIntervalMs: milliseconds(),
  maxConcurrent: wholeNumber(1),
  failureThreshold: wholeNumber(1),
  successThreshold: wholeNumber(1),
  flapThreshold: wholeNumber(1),
  maxRenewals: wholeNumber(0),
}));

/** What the options of a container must be. */
export const containerShape: Shape<ContainerOptions> = /* @__PURE__ */ shape<ContainerOptions>(() => ({
  name: text(),
  clock: withMethods("a clock", "now", "setTimeout", "sleep"),
  startTimeoutMs: milliseconds(),
  drainTimeoutMs: milliseconds(0),
  stopTimeoutMs: milliseconds(0),
  sessions,
  health: literalOr(false, health),
}));

/** What the options of a start must be. */
export const startShape: Shape<StartOptions> = /* @__PURE__ */ shape<StartOptions>(() => ({
  signal: signal(),
  onBackgroundEnd: func(),
}));

/** How a container is stopped. */
export interface StopOptions {
  /** Longest drain and stop in all, in ms. Default: the drain and stop timeouts of the container. */
  readonly timeoutMs?: number | undefined;
}

/** What the options of a stop must be. */
export const stopShape: Shape<StopOptions> = /* @__PURE__ */ shape<StopOptions>(() => ({ timeoutMs: milliseconds(0) }));

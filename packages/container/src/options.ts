import {
  flag,
  func,
  funcOr,
  isDefinition,
  listOf,
  literalOr,
  milliseconds,
  oneOf,
  recognised,
  recordOf,
  shape,
  signal,
  text,
  wholeNumber,
  withMethods,
  type Rule,
  type Shape,
} from "@steward/core";
import type { ContainerOptions, StartOptions } from "./container.ts";
import type { HealthEndpointOptions } from "./health/endpoints.ts";
import type { MonitorOptions } from "./health/monitor.ts";
import type { MainOptions } from "./main/options.ts";
import type { ManagementOptions } from "./health/management.ts";
import type { SessionOptions } from "./session/sessions.ts";

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
  unhealthyAfter: wholeNumber(1),
  healthyAfter: wholeNumber(1),
  timeoutMs: milliseconds(),
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
  version: text(),
}));

/** What the options of a start must be. */
export const startShape: Shape<StartOptions> = /* @__PURE__ */ shape<StartOptions>(() => ({
  signal: signal(),
  onBackgroundEnd: func(),
  onStarting: func(),
}));

/** What the options of health endpoints must be. */
export const healthEndpointShape: Shape<HealthEndpointOptions> = /* @__PURE__ */ shape<HealthEndpointOptions>(() => ({
  prefix: text(true),
  details: flag(),
  token: text(),
  retryAfterMs: milliseconds(0),
}));

/** What the options of a management listener must be. */
export const managementShape: Shape<ManagementOptions> = /* @__PURE__ */ shape<ManagementOptions>(() => ({
  port: wholeNumber(0, 65_535),
  host: text(),
  hosts: listOf(text()),
  prefix: text(true),
  routes: recordOf(func()),
}));

/** What the options of `runMain` must be. */
export const mainShape: Shape<MainOptions> = /* @__PURE__ */ shape<MainOptions>(() => ({
  inputs: inputsRule(),
  shutdownTimeoutMs: milliseconds(),
  shutdownDelayMs: milliseconds(0),
  onHangup: funcOr(oneOf("stop", "ignore")),
  onUncaught: oneOf("stop", "crash"),
  management: literalOr(false, managementShape),
  signal: signal(),
  onReady: func(),
  onShutdown: func(),
  onStopped: func(),
  onError: func(),
  flush: func(),
  process: withMethods("a process", "on", "off", "exit"),
  clock: withMethods("a clock", "now", "setTimeout", "sleep"),
}));

/** How a container is stopped. */
export interface StopOptions {
  /** Longest drain and stop in all, in ms. Default: the drain and stop timeouts of the container. */
  readonly timeoutMs?: number | undefined;
}

/** What the options of a stop must be. */
export const stopShape: Shape<StopOptions> = /* @__PURE__ */ shape<StopOptions>(() => ({ timeoutMs: milliseconds(0) }));

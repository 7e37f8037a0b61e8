import type { Binding, Clock } from "@steward/core";
import {
  func,
  funcOr,
  literalOr,
  milliseconds,
  oneOf,
  shape,
  type Shape,
  signal,
  withMethods,
} from "@steward/core/container";
import { managementShape, type ManagementOptions } from "../health/management.ts";
import { clockRule, inputsRule } from "../options.ts";
import type { RunningContainer } from "../running.ts";

/** A signal that asks a process to end. */
export type EndSignal = "SIGTERM" | "SIGINT" | "SIGHUP";

/**
 * Why a shutdown began: a signal, the caller's own, a failed `onReady`, background work that ended too often, or an
 * error that nothing caught.
 */
export type ShutdownReason = EndSignal | "asked" | "failed" | "background ended" | "uncaught error";

/** A shutdown that begins. */
export interface ShutdownInfo {
  readonly reason: ShutdownReason;
  /** How long work is still taken, in ms. */
  readonly delayMs: number;
  /** How long all of it may take, in ms. */
  readonly timeoutMs: number;
}

/** What of a process `runMain` uses. */
export interface MainProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: { write(text: string): unknown };
  on(event: EndSignal, listener: () => void): unknown;
  on(event: "uncaughtException", listener: (error: Error) => void): unknown;
  off(event: EndSignal, listener: () => void): unknown;
  off(event: "uncaughtException", listener: (error: Error) => void): unknown;
  exit(code: number): void;
}

/** Where `runMain` says what happens, in lines of text. A logger of pino fits, and so does `console`. */
export interface MainLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** How a process runs its container. */
export interface MainOptions<B extends readonly Binding[] = readonly Binding[]> {
  /** Inputs of the application. */
  readonly inputs?: B;
  /** Longest shutdown in all, in ms; then the process exits with 1 and says what hangs. Default 25,000, below the 30 s of Kubernetes. */
  readonly shutdownTimeoutMs?: number;
  /**
   * How long work is still taken after SIGTERM, in ms. Meanwhile `/readyz` says 503 and replies say `connection: close`,
   * so that balancers and clients go elsewhere before anything ends. Default 5,000 in Kubernetes, where load balancers
   * learn late that a pod ends; elsewhere 3,000 for a process that has served requests, and 0 for one that has not.
   * Always 0 after Ctrl-C and after a failure.
   */
  readonly shutdownDelayMs?: number;
  /**
   * What SIGHUP does: `stop` as SIGTERM does, `ignore`, or a call of a function, such as one that reads the
   * configuration again. Default `stop`: the terminal of the process is gone.
   */
  readonly onHangup?: "stop" | "ignore" | ((running: RunningContainer) => unknown);
  /**
   * What an error does that nothing caught, thrown or rejected: `stop` reports it to `onError`, stops everything in order
   * and exits with 1; `crash` hands it to Node, which ends the process at once. Default `stop`.
   */
  readonly onUncaught?: "stop" | "crash";
  /**
   * Serves health with all details on a port of its own, from before the start until everything has stopped, so that a
   * start that waits or fails can be seen. Default `false`: no listener.
   */
  readonly management?: ManagementOptions | false;
  /** Begins a shutdown when it aborts, as SIGTERM does. */
  readonly signal?: AbortSignal;
  /** Called once everything is up. If it fails, everything is stopped and the process exits with 1. */
  readonly onReady?: (running: RunningContainer) => unknown;
  /** Called when a shutdown begins. */
  readonly onShutdown?: (info: ShutdownInfo) => unknown;
  /** Called when everything has stopped, with how long that took, in ms. */
  readonly onStopped?: (durationMs: number) => unknown;
  /**
   * Gets a line when the container has started, a resource goes down or comes up again, a start is tried again, a phase of
   * the shutdown begins, and for every failure. Default: none, and failures are written to stderr.
   */
  readonly logger?: MainLogger;
  /** Called with every failure, of the start or of the shutdown. Default: the logger gets it, or stderr where there is none. */
  readonly onError?: (error: unknown) => unknown;
  /** Called last of all, also after a failed start: sends out logs and traces. */
  readonly flush?: () => unknown;
  /** Default: this process. */
  readonly process?: MainProcess;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock;
}

/** What the options of `runMain` must be. */
export const mainShape: Shape<MainOptions> = /* @__PURE__ */ shape<MainOptions>(() => ({
  inputs: inputsRule(),
  shutdownTimeoutMs: milliseconds(),
  shutdownDelayMs: milliseconds(0),
  onHangup: funcOr(oneOf("stop", "ignore")),
  onUncaught: oneOf("stop", "crash"),
  management: literalOr(false, managementShape),
  signal: signal(),
  logger: withMethods("a logger", "info", "warn", "error"),
  onReady: func(),
  onShutdown: func(),
  onStopped: func(),
  onError: func(),
  flush: func(),
  process: withMethods("a process", "on", "off", "exit"),
  clock: clockRule(),
}));

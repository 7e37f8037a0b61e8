import { constants } from "node:os";
import { systemClock, type BackgroundEvent, type Binding, type Clock } from "@steward/core";
import { checkShape, describeError } from "@steward/core/container";
import type { Container, StartOptions } from "../container.ts";
import { containerError } from "../errors.ts";
import { failureText } from "./failure-text.ts";
import { MainLog } from "./main-log.ts";
import { announceShutdown } from "./shutdown-announced.ts";
import { serveManagement, type ManagementListener } from "../health/management.ts";
import { mainShape, type EndSignal, type MainOptions, type MainProcess, type ShutdownReason } from "./options.ts";
import type { RunningContainer } from "../running.ts";
import type { AllInputs } from "../scope/scope-types.ts";
import { Traffic } from "./traffic.ts";

const SIGNALS: readonly EndSignal[] = ["SIGTERM", "SIGINT", "SIGHUP"];
/** Reasons for which the exit code is 1, however well the shutdown goes. */
const FAILURES: ReadonlySet<ShutdownReason | undefined> = new Set(["failed", "background ended", "uncaught error"]);
/** Part of a shutdown that is kept for the flush. */
const FLUSH_SHARE = 0.05;
const KUBERNETES_DELAY_MS = 5_000;
/** A balancer that asks once a second has asked three times. */
const SERVED_DELAY_MS = 3_000;
/** npm passes a Ctrl-C on that the terminal has sent already. */
const SAME_SIGNAL_MS = 200;

/**
 * Runs a container as what a process is there for: starts it, ends it in order at SIGTERM, SIGHUP or Ctrl-C, and exits.
 *
 * A shutdown says "not ready" at once, takes work for the delay, drains, stops in reverse, flushes, and exits with 0;
 * with 1 where something failed or hung. A second signal exits at once with 128 and its number. A signal during the
 * start gives the start up, stops what had started, and exits with 128 and its number. A failed start exits with 1.
 * An error that nothing caught, and background work that ended too often, are reported and end the process in the same
 * order, without a delay, and with 1.
 *
 * @throws {OPTIONS_INVALID} listing every wrong option.
 * @returns The exit code, for processes whose `exit` comes back.
 *
 * @example
 * ```ts no-run
 * import { resource } from "@steward/core";
 * import { container, runMain } from "@steward/container";
 * const server = resource("server", { start: () => ({ url: "http://localhost:3000" }) });
 * await runMain(container([server]), { onReady: (running) => console.log(running.get(server).url) });
 * ```
 */
export function runMain<Open extends string, const B extends readonly Binding[] = readonly []>(
  app: Container<Open> & AllInputs<Open, B>,
  options: MainOptions<B> = {},
): Promise<number> {
  checkShape("runMain", mainShape, options);
  return new Main((start) => app.start(options.inputs, start), options).run();
}

type Start = (options: StartOptions) => Promise<RunningContainer>;

/** What the process is busy with, for the words of a shutdown that hangs. */
type Stage =
  | { readonly name: "start" }
  | { readonly name: "flush" }
  | { readonly name: "running"; readonly running: RunningContainer };

class Main {
  readonly #start: Start;
  readonly #options: MainOptions;
  readonly #process: MainProcess;
  readonly #clock: Clock;
  readonly #abortStart = new AbortController();
  readonly #asked = deferred<void>();
  readonly #exited = deferred<number>();
  readonly #traffic = new Traffic();
  readonly #log: MainLog | undefined;
  #asking: { readonly reason: ShutdownReason; readonly at: number } | undefined;
  #stage: Stage = { name: "start" };
  #hasExited = false;
  #hasUncaught = false;

  constructor(start: Start, options: MainOptions) {
    this.#start = start;
    this.#options = options;
    this.#process = options.process ?? process;
    this.#log = options.logger === undefined ? undefined : new MainLog(options.logger);
    this.#clock = options.clock ?? systemClock;
  }

  async run(): Promise<number> {
    const ignore = this.#listen();
    const alive = setInterval(() => {}, 2 ** 30); // a process whose resources hold no handle is not to end by itself
    this.#live().then(
      (code) => this.#exit(code),
      (error: unknown) => this.#fail(error),
    );
    const code = await this.#exited.promise;
    clearInterval(alive);
    ignore();
    this.#traffic.end();
    this.#log?.end();
    return code;
  }

  /** Listens to what may end the process; gives what ends the listening. */
  #listen(): () => void {
    const { signal, onUncaught = "stop" } = this.#options;
    const listeners = SIGNALS.map((name) => ({ name, listener: () => this.#onSignal(name) }));
    for (const { name, listener } of listeners) this.#process.on(name, listener);
    const onUncaughtError = (error: unknown): void => this.#onUncaught(error);
    if (onUncaught === "stop") this.#process.on("uncaughtException", onUncaughtError);
    const onAbort = (): void => this.#ask("asked");
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    return () => {
      signal?.removeEventListener("abort", onAbort);
      this.#process.off("uncaughtException", onUncaughtError);
      for (const { name, listener } of listeners) this.#process.off(name, listener);
    };
  }

  #onSignal(signal: EndSignal): void {
    const { onHangup = "stop" } = this.#options;
    if (signal === "SIGHUP" && onHangup !== "stop") return void this.#hangUp(onHangup);
    const first = this.#asking;
    if (first === undefined) this.#ask(signal);
    else if (first.reason !== signal || this.#clock.now() - first.at >= SAME_SIGNAL_MS)
      this.#exit(128 + constants.signals[signal]);
  }

  async #hangUp(onHangup: "ignore" | ((running: RunningContainer) => unknown)): Promise<void> {
    const stage = this.#stage;
    if (onHangup !== "ignore" && stage.name === "running") await this.#hook(() => onHangup(stage.running));
  }

  /** The process may be in any state now: it finishes what it has begun, and ends. One during the shutdown is reported too. */
  #onUncaught(cause: unknown): void {
    this.#hasUncaught = true;
    void this.#report(containerError("UNCAUGHT_ERROR", `nothing caught: ${describeError(cause)}`, { cause }));
    this.#ask("uncaught error");
  }

  #ask(reason: ShutdownReason): void {
    if (this.#asking !== undefined) return;
    this.#asking = { reason, at: this.#clock.now() };
    const timer = this.#clock.setTimeout(() => this.#fail(this.#tooLate()), this.#timeoutMs, { unref: true });
    void this.#exited.promise.then(() => timer.cancel());
    this.#abortStart.abort(
      containerError("CONTAINER_CLOSED", isSignal(reason) ? `${reason} received` : "a shutdown was asked for"),
    );
    this.#asked.resolve();
  }

  /** Past its limit, background work is not run again: the process is of no use any more. */
  #onBackgroundEnd({ error, againInMs }: BackgroundEvent): void {
    void this.#report(error);
    if (againInMs === undefined) this.#ask("background ended");
  }

  get #timeoutMs(): number {
    return this.#options.shutdownTimeoutMs ?? 25_000;
  }

  async #live(): Promise<number> {
    const { management = false } = this.#options;
    if (management === false) return this.#startAndEnd(() => {});
    let seen: RunningContainer | undefined;
    let listener: ManagementListener;
    try {
      listener = await serveManagement(() => seen, management);
    } catch (error) {
      await this.#report(error);
      return 1;
    }
    return this.#startAndEnd((starting) => (seen = starting)).finally(() => listener.stop());
  }

  async #startAndEnd(onStarting: (running: RunningContainer) => void): Promise<number> {
    let running: RunningContainer;
    try {
      running = await this.#start({
        signal: this.#abortStart.signal,
        onBackgroundEnd: (event) => this.#onBackgroundEnd(event),
        onStarting: (starting) => {
          this.#log?.follow(starting);
          onStarting(starting);
        },
      });
    } catch (error) {
      await this.#report(error);
      await this.#flush();
      return this.#failedStartCode();
    }
    this.#stage = { name: "running", running };
    this.#log?.started(running);
    const wellBegun = await this.#ready(running);
    await this.#asked.promise;
    const stopped = await this.#shutDown(running);
    await this.#flush();
    return wellBegun && stopped && !this.#hasFailed ? 0 : 1;
  }

  get #hasFailed(): boolean {
    return this.#hasUncaught || FAILURES.has(this.#asking?.reason);
  }

  #failedStartCode(): number {
    const reason = this.#hasUncaught ? undefined : this.#asking?.reason;
    return isSignal(reason) ? 128 + constants.signals[reason] : 1;
  }

  /** Calls the hook of a container that is up; a shutdown does not wait for a caller that takes its time. */
  async #ready(running: RunningContainer): Promise<boolean> {
    const called = this.#hook(() => this.#options.onReady?.(running)).then((fine) => {
      if (!fine) this.#ask("failed");
      return fine;
    });
    return Promise.race([called, this.#asked.promise.then(() => this.#asking?.reason !== "failed")]);
  }

  /** Stops everything in phases; gives whether all went well. */
  async #shutDown(running: RunningContainer): Promise<boolean> {
    const reason = this.#asking?.reason ?? "asked";
    const delayMs = this.#delayMs(reason);
    const since = this.#clock.now();
    const info = { reason, delayMs, timeoutMs: this.#timeoutMs };
    this.#log?.shutdown(info);
    announceShutdown(running);
    this.#traffic.sendAway();
    let fine = await this.#hook(() => this.#options.onShutdown?.(info));
    if (delayMs > 0) await this.#clock.sleep(delayMs);
    try {
      await running.stop({ timeoutMs: this.#leftMs() });
    } catch (error) {
      fine = false;
      await this.#report(error);
    }
    const called = await this.#hook(() => this.#options.onStopped?.(this.#clock.now() - since));
    return fine && called;
  }

  /** What is left of the shutdown's time for drain and stop, with a rest for the flush and for saying what hung. */
  #leftMs(): number {
    const spent = this.#clock.now() - (this.#asking?.at ?? this.#clock.now());
    return Math.max(0, this.#timeoutMs * (1 - FLUSH_SHARE) - spent);
  }

  #delayMs(reason: ShutdownReason): number {
    if (reason === "SIGINT" || FAILURES.has(reason)) return 0;
    if (this.#options.shutdownDelayMs !== undefined) return this.#options.shutdownDelayMs;
    if (this.#process.env["KUBERNETES_SERVICE_HOST"] !== undefined) return KUBERNETES_DELAY_MS;
    return this.#traffic.hasServed ? SERVED_DELAY_MS : 0;
  }

  async #flush(): Promise<void> {
    this.#stage = { name: "flush" };
    await this.#hook(() => this.#options.flush?.());
  }

  /** Calls what the caller gave us; gives whether it went well. */
  async #hook(call: () => unknown): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (error) {
      await this.#report(error);
      return false;
    }
  }

  async #report(error: unknown): Promise<void> {
    const { onError = (failure: unknown) => this.#say(failureText(failure)) } = this.#options;
    try {
      await onError(error);
    } catch (second) {
      this.#say(`${failureText(error)}\nand the onError hook failed: ${describeError(second)}`);
    }
  }

  #say(text: string): void {
    if (this.#log === undefined) this.#process.stderr.write(`${text}\n`);
    else this.#log.failed(text);
  }

  #tooLate(): Error {
    return containerError(
      "SHUTDOWN_TIMEOUT",
      `the shutdown took longer than ${this.#timeoutMs} ms; ${hanging(this.#stage)}`,
    );
  }

  /** Ends the process after a failure; what hangs is not waited for, nor is a hook that hangs too. */
  #fail(error: unknown): void {
    void this.#report(error);
    this.#exit(1);
  }

  #exit(code: number): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    this.#log?.exits(code);
    this.#exited.resolve(code);
    this.#process.exit(code);
  }
}

function isSignal(reason: ShutdownReason | undefined): reason is EndSignal {
  return SIGNALS.some((signal) => signal === reason);
}

function hanging(stage: Stage): string {
  if (stage.name === "start") return "the start that was given up has not ended";
  if (stage.name === "flush") return "the flush hook has not ended";
  const busy = stage.running.health().resources.filter(({ phase }) => phase === "draining" || phase === "stopping");
  const named = busy.map(({ name, phase }) => `"${name}" is still ${phase}`);
  return named.length === 0
    ? `the container is ${stage.running.phase} and scopes or hooks have not ended`
    : named.join(", ");
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((r) => (resolve = r));
  return { promise, resolve };
}

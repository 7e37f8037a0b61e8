import { Guard, StewardError } from "@steward/core";
import { checkOptions, Manager, defineDriver, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import { Connection } from "./connection.ts";
import { probe } from "./health.ts";
import { schema, type CheckedOptions, type SampleOptions } from "./options.ts";

/** What users hold. Where there is a driver of its own, this is the driver's client. */
export interface SampleClient {
  /**
   * Sends a text and gives the answer.
   *
   * @throws {SAMPLE_REFUSED} the remote refused it.
   * @throws {OUTCOME_UNKNOWN} the connection broke.
   */
  call(text: string): Promise<string>;
}

/**
 * Looks after a sample: starts, guards, probes and stops it.
 *
 * @example
 * ```ts
 * import { SampleManager } from "@steward/sample";
 * import { sampleForTests } from "@steward/sample/testing";
 * await using remote = await sampleForTests();
 * await using things = await new SampleManager({ port: remote.port, timeoutMs: 1_000 }).start();
 * console.log(await things.client.call("hi")); // => hi
 * ```
 */
export class SampleManager extends Manager<SampleClient> {
  readonly #options: CheckedOptions;
  readonly #guard: Guard;
  /** One object for good: connections come and go behind it. */
  readonly #client: SampleClient = {
    call: (text) => this.#guard.run(({ signal }) => this.#exchange(text, signal)),
  };
  #connection: Connection | undefined;

  /** @throws {OPTIONS_INVALID} listing every problem. */
  constructor(options: SampleOptions, context: ManagerContext = {}) {
    super("sample", context);
    this.#options = checkOptions(this.name, schema, options);
    const { timeoutMs, maxConcurrent, maxPending, breaker } = this.#options;
    this.#guard = new Guard({
      ...this.guardBasis(),
      timeoutMs,
      maxConcurrent,
      maxPending,
      breaker: breaker === false ? undefined : breaker,
    });
  }

  get client(): SampleClient {
    return this.#client;
  }

  protected async onStart(signal: AbortSignal): Promise<void> {
    await this.#exchange("ping", signal);
  }

  protected onProbe(signal: AbortSignal): Promise<void> {
    return probe((text) => this.#exchange(text, signal));
  }

  protected override onDrain(): Promise<void> {
    return this.#guard.idle();
  }

  protected onStop(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return { ...this.#guard.stats() };
  }

  async #exchange(text: string, signal: AbortSignal): Promise<string> {
    const { host, port } = this.#options;
    // The one connection that all calls share; a new one where the last is gone.
    if (this.#connection?.isOpen !== true) this.#connection = new Connection(this.name, host, port);
    const answer = await this.#connection.ask(text, signal);
    if (!answer.startsWith("-")) return answer;
    throw new StewardError("SAMPLE_REFUSED", `${this.name}: ${answer.slice(1)}`, { resource: this.name });
  }
}

/** Defines a sample as a resource. */
export const sample: DriverFactory<SampleOptions, SampleClient> = defineDriver({
  kind: "sample",
  schema,
  create: (options, context) => new SampleManager(options, context),
});

import { Guard } from "@steward/core";
import { checkOptions, Manager, defineDriver, type DriverFactory, type ManagerContext } from "@steward/core/driver";
import { SampleClient } from "./client.ts";
import { Connection } from "./connection.ts";
import { probe } from "./health.ts";
import { schema, type CheckedOptions, type SampleOptions } from "./options.ts";

/** Looks after a sample: starts, guards, probes and stops it. */
export class SampleManager extends Manager<SampleClient> {
  readonly #options: CheckedOptions;
  readonly #guard: Guard;
  readonly #client: SampleClient = new SampleClient((work) =>
    this.#guard.run(({ signal }) => work(this.#open(), signal)),
  );
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

  protected onStart(signal: AbortSignal): Promise<void> {
    return this.#open().ping(signal);
  }

  protected onProbe(signal: AbortSignal): Promise<void> {
    return probe(this.#open(), signal);
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

  /** The one connection that all calls share; a new one where the last is gone. */
  #open(): Connection {
    if (this.#connection?.isOpen !== true) this.#connection = new Connection(this.name, this.#options);
    return this.#connection;
  }
}

/** Defines a sample as a resource. */
export const sample: DriverFactory<SampleOptions, SampleClient> = defineDriver({
  kind: "sample",
  schema,
  create: (options, context) => new SampleManager(options, context),
});

import { Guard, Manager, managedFactory, StewardError, type ManagedFactory, type ManagerContext } from "@steward/core";
import { probe } from "./health.ts";
import { schema, type CheckedOptions, type SampleOptions } from "./options.ts";

/** The driver's own client. Replace it with the real one. */
export interface SampleClient {
  /** Sends a text and gives back the answer. */
  call(text: string): Promise<string>;
}

/** Looks after a sample: starts, guards, probes and stops it. */
export class SampleManager extends Manager<SampleClient> {
  readonly #guard: Guard;
  readonly #client: SampleClient = { call: (text) => this.#guard.run(() => this.#send(text)) };

  constructor(options: CheckedOptions, context?: ManagerContext) {
    super("sample", context);
    const { timeoutMs } = options;
    this.#guard = new Guard({ resource: this.name, clock: this.clock, timeoutMs, refusal: () => this.unavailable() });
  }

  get client(): SampleClient {
    return this.#client;
  }

  protected async open(): Promise<void> {
    await this.#send("hello");
  }

  protected ping(): Promise<void> {
    return probe({ call: (text) => this.#send(text) });
  }

  protected override settle(): Promise<void> {
    return this.#guard.idle();
  }

  protected close(): void {}

  protected override measure(): Readonly<Record<string, unknown>> {
    return { calls: this.#guard.stats() };
  }

  async #send(text: string): Promise<string> {
    if (text === "") throw new StewardError("SAMPLE_REFUSED", `${this.name}: nothing to send`, { resource: this.name });
    return text;
  }
}

/** Defines a sample as a resource. */
export const sample: ManagedFactory<SampleOptions, SampleClient> = managedFactory({
  kind: "sample",
  schema,
  create: (options, context) => new SampleManager(options, context),
});

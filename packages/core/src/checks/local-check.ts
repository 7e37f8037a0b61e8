import type { Trouble } from "../definition/spec.ts";
import { StewardError } from "../errors.ts";
import { Manager } from "../lifecycle/manager.ts";
import { troubleIn, type Limited } from "./limits.ts";

/** What a check hands out: the last measurement. It is made anew with every probe, every 10 s by default. */
export interface Measured<Reading> {
  /** @throws {RESOURCE_UNAVAILABLE} before the start and after the stop. */
  readonly latest: Reading;
}

/**
 * Watches something of this machine or process. It measures at the start and with every probe. Past a warning it is
 * degraded; past a limit too, and unhealthy when several probes in a row find it so.
 */
export abstract class LocalCheck<Reading extends object> extends Manager<Measured<Reading>> {
  readonly #client: Measured<Reading>;
  #latest: Reading | undefined;
  #measuring: Promise<Reading> | undefined;

  constructor(...given: ConstructorParameters<typeof Manager>) {
    super(...given);
    const latest = (): Reading => this.#measured();
    this.#client = {
      get latest() {
        return latest();
      },
    };
  }

  /** Measures. A rejection means that it cannot be measured. */
  protected abstract measureNow(): Promise<Reading> | Reading;

  /** What was measured, beside its limits. */
  protected abstract limited(reading: Reading): readonly Limited[];

  override get client(): Measured<Reading> {
    return this.#client;
  }

  /** What is past a warning. What is past a limit fails probes, and is only degraded until several have failed. */
  get trouble(): Trouble | undefined {
    const found = this.#latest === undefined ? undefined : troubleIn(this.limited(this.#latest));
    return found === undefined ? undefined : { status: "degraded", reason: found.reason };
  }

  /** The last measurement, for health documents. */
  get about(): Readonly<Record<string, unknown>> | undefined {
    return this.#latest === undefined ? undefined : Object.fromEntries(Object.entries(this.#latest));
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return { ...this.#latest };
  }

  /** The last measurement; `undefined` before the first one. */
  protected get reading(): Reading | undefined {
    return this.#latest;
  }

  protected override async onStart(): Promise<void> {
    await this.#take();
  }

  /** @throws {LIMIT_EXCEEDED} when a number is past its limit. */
  protected override async onProbe(): Promise<void> {
    const found = troubleIn(this.limited(await this.#take()));
    if (found?.status !== "unhealthy") return;
    throw new StewardError("LIMIT_EXCEEDED", `${this.name}: ${found.reason}`, { resource: this.name, retryable: true });
  }

  protected override onStop(): void {}

  protected override get hasWorkToDrain(): boolean {
    return false;
  }

  /** One measurement at a time: one that hangs, as on a dead network disk, holds a thread that all file access needs. */
  async #take(): Promise<Reading> {
    this.#measuring ??= Promise.resolve(this.measureNow()).finally(() => (this.#measuring = undefined));
    return (this.#latest = await this.#measuring);
  }

  #measured(): Reading {
    const refusal = this.phase === "draining" ? undefined : this.unavailable();
    if (refusal !== undefined || this.#latest === undefined) throw refusal ?? this.refusal();
    return this.#latest;
  }
}

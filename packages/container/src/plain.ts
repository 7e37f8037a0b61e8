import { Manager, type ManagerContext, type Spec } from "@steward/core";
import { containerError } from "./errors.ts";

type Values = Readonly<Record<string, unknown>>;
type Lifecycle = Iterator<unknown> | AsyncIterator<unknown>;

/** Looks after a plain resource: runs its `start`, its background work, its `drain` and its `stop`. */
export class PlainManager extends Manager<unknown> {
  readonly #spec: Spec;
  readonly #needs: Values;
  #instance: { readonly value: unknown; readonly generator: Lifecycle | undefined } | undefined;
  #background: { readonly abort: AbortController; readonly done: Promise<unknown> } | undefined;
  #backgroundError: Error | undefined;

  constructor(spec: Spec, needs: Values, context: ManagerContext) {
    super(spec.name, { ...context, ...timeouts(spec) });
    this.#spec = spec;
    this.#needs = needs;
  }

  override get client(): unknown {
    if (this.#instance === undefined) throw this.refusal();
    return this.#instance.value;
  }

  protected override async open(signal: AbortSignal): Promise<void> {
    const made = this.#spec.start?.(this.#needs, { signal });
    if (!this.#spec.generator) this.#instance = { value: await made, generator: undefined };
    else {
      const generator = made as Lifecycle; // `generator` says so
      const first = await generator.next();
      if (first.done === true) throw didNotYield(this.#spec.name);
      this.#instance = { value: first.value, generator };
    }
    if (!signal.aborted) this.#run(this.#instance.value);
  }

  #run(value: unknown): void {
    if (this.#spec.run === undefined) return;
    const abort = new AbortController();
    const done = this.#spec.run(this.#needs, { signal: abort.signal, value }).then(
      () => this.#ended(abort, undefined),
      (error: unknown) => this.#ended(abort, error),
    );
    this.#background = { abort, done };
  }

  #ended(abort: AbortController, cause: unknown): void {
    if (abort.signal.aborted) return;
    this.#backgroundError = containerError(
      "BACKGROUND_ENDED",
      `${this.name}: its background work ended although nobody asked it to`,
      { resource: this.name, cause },
    );
  }

  /** Asks the background work to end and waits for it. */
  async endBackground(): Promise<void> {
    this.#background?.abort.abort(containerError("CONTAINER_CLOSED", "the container drains"));
    await this.#background?.done;
    this.#background = undefined;
  }

  protected override get hasWorkToSettle(): boolean {
    return this.#spec.run !== undefined || this.#spec.drain !== undefined;
  }

  protected override async settle(signal: AbortSignal): Promise<void> {
    await this.endBackground();
    await this.#spec.drain?.(this.#instance?.value, { signal });
  }

  protected override async ping(signal: AbortSignal): Promise<void> {
    if (this.#backgroundError !== undefined) throw this.#backgroundError;
    await this.#spec.probe?.(this.#instance?.value, { signal });
  }

  protected override async close(signal: AbortSignal): Promise<void> {
    await this.endBackground();
    const instance = this.#instance;
    this.#instance = undefined;
    if (instance === undefined) return;
    if (instance.generator === undefined) await this.#spec.stop?.(instance.value, { signal });
    else if ((await instance.generator.next()).done !== true) {
      await instance.generator.return?.(undefined);
      throw yieldedTwice(this.#spec.name);
    }
  }

  /** Whether it has anything that a probe could ask. */
  get probed(): boolean {
    return this.#spec.probe !== undefined || this.#spec.run !== undefined;
  }
}

/** The error of a generator that ended before its value. */
export function didNotYield(name: string): Error {
  return containerError(
    "GENERATOR_DID_NOT_YIELD",
    `"${name}": its generator returned without yielding a value; it has to yield exactly one`,
    { resource: name },
  );
}

/** The error of a generator that yields where its end was expected. */
export function yieldedTwice(name: string): Error {
  return containerError(
    "GENERATOR_YIELDED_TWICE",
    `"${name}": its generator yielded again where its end was expected; only a handler resource may yield afterReply a second time`,
    { resource: name },
  );
}

function timeouts(spec: Spec): ManagerContext {
  const { startTimeoutMs, drainTimeoutMs, stopTimeoutMs } = spec.settings;
  return { startTimeoutMs, drainTimeoutMs, stopTimeoutMs };
}

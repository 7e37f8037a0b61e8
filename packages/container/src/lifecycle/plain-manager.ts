import { StewardError, type Clock, type Guard } from "@steward/core";
import {
  BaseManager,
  type BoundedCall,
  type CallDefaults,
  guardValue,
  type ManagerContext,
  plainValue,
  type PlannedGuard,
  type Spec,
  type Trouble,
} from "@steward/core/container";
import { Background, type BackgroundEnd } from "./background.ts";
import { didNotYield, yieldedTwice } from "../errors.ts";

type Values = Readonly<Record<string, unknown>>;
type Lifecycle = Iterator<unknown> | AsyncIterator<unknown>;

/** What the manager of a plain resource is made with. */
export interface PlainContext {
  readonly clock: Clock;
  readonly name: string;
  /** What its guard does where its definition does not say otherwise. */
  readonly defaults: CallDefaults;
  /** Called when its background work ended although nothing had asked it to. */
  readonly onBackgroundEnd: (end: BackgroundEnd) => void;
}

const CALL = Symbol("call");
const HEARS_NOTHING = (): void => {};

/** Looks after a plain resource: runs its `start`, its background work, its `drain` and its `stop`. */
export class PlainManager extends BaseManager<unknown> {
  readonly #spec: Spec;
  readonly #needs: Values;
  #instance: { readonly value: unknown; readonly generator: Lifecycle | undefined } | undefined;
  readonly #onBackgroundEnd: (end: BackgroundEnd) => void;
  #background: Background | undefined;
  readonly #guard: PlannedGuard | undefined;

  constructor(spec: Spec, needs: Values, { clock, name, defaults, onBackgroundEnd }: PlainContext) {
    super(spec.name, { clock, name, ...timeouts(spec) });
    this.#onBackgroundEnd = onBackgroundEnd;
    this.#spec = spec;
    this.#needs = needs;
    if (spec.guard === undefined) return;
    const { breaker = defaults.breaker ?? {}, retry = defaults.retry, timeoutMs = defaults.timeoutMs } = spec.guard;
    // Without a probe of its own there is nothing to be asked.
    const { ask, ...basis } = this.guardBasis();
    const options = {
      ...basis,
      ...spec.guard,
      timeoutMs,
      retry,
      breaker,
      ask: spec.probe === undefined ? undefined : ask,
    };
    this.#guard = { options, guard: undefined };
  }

  protected override guards(): Iterable<Guard> {
    return this.#guard?.guard === undefined ? [] : [this.#guard.guard];
  }

  /** Without a guard there are no calls that could show anything. */
  override listen(listener: () => void): () => void {
    return this.#guard === undefined ? HEARS_NOTHING : super.listen(listener);
  }

  override get client(): unknown {
    if (this.#instance === undefined) throw this.refusal();
    return this.#instance.value;
  }

  protected override async starting(call: BoundedCall): Promise<void> {
    const made = this.#spec.start?.(this.#needs, new Asked(call));
    if (!this.#spec.generator) this.#instance = { value: plainValue(this.name, await made), generator: undefined };
    else {
      const generator = made as Lifecycle; // `generator` says so
      const first = await generator.next();
      if (first.done === true) throw didNotYield(this.#spec.name);
      this.#instance = { value: first.value, generator };
    }
    this.#guardValue(this.#instance.value);
    this.#run(this.#instance.value, call);
  }

  #guardValue(value: unknown): void {
    if (this.#guard === undefined) return;
    if (typeof value === "object" ? value !== null : typeof value === "function")
      return guardValue(value as object, this.#guard);
    const message = `resource "${this.name}" declares a guard, and its value is ${value === null ? "null" : typeof value}: only an object or a function can be guarded`;
    throw new StewardError("DEFINITION_INVALID", message, { resource: this.name });
  }

  #run(value: unknown, call: BoundedCall): void {
    const { run, rerun, settings } = this.#spec;
    if (run === undefined || call.signal.aborted) return;
    this.#background = new Background(async (signal) => run(this.#needs, { signal, value }), {
      clock: this.clock,
      resource: this.name,
      rerun,
      afterLimit: settings.criticality === "optional" ? "keep-trying" : "exit",
      onEnd: this.#onBackgroundEnd,
    });
  }

  get trouble(): Trouble | undefined {
    return this.#background?.trouble;
  }

  async #endBackground(): Promise<void> {
    await this.#background?.end();
    this.#background = undefined;
  }

  protected override get hasWorkToDrain(): boolean {
    return this.#spec.run !== undefined || this.#spec.drain !== undefined || this.#guard?.guard?.isIdle === false;
  }

  protected override async draining(call: BoundedCall): Promise<void> {
    await this.#endBackground();
    await Promise.all([this.#spec.drain?.(this.#instance?.value, new Asked(call)), this.#guard?.guard?.idle()]);
  }

  protected override async onProbe(signal: AbortSignal): Promise<void> {
    await this.#spec.probe?.(this.#instance?.value, { signal });
  }

  protected override async stopping(call: BoundedCall): Promise<void> {
    if (this.#background !== undefined) await this.#endBackground();
    const instance = this.#instance;
    this.#instance = undefined;
    if (instance === undefined) return;
    if (instance.generator === undefined) await this.#spec.stop?.(instance.value, new Asked(call));
    else if ((await instance.generator.next()).done !== true) {
      await instance.generator.return?.(undefined);
      throw yieldedTwice(this.#spec.name);
    }
  }

  /** Whether it has anything that a probe could ask. */
  get probed(): boolean {
    return this.#spec.probe !== undefined;
  }
}

/**
 * What the functions of a definition are handed: the signal, made where one looks at it. It is a property of its own, so
 * that a copy has it too. One getter for all: with one each, every object has a shape of its own, which costs 2 us, and
 * what it refers to stays until a full collection. The call is no private field, which a proxy around it would not find.
 */
class Asked {
  declare readonly signal: AbortSignal;
  declare readonly [CALL]: BoundedCall;

  constructor(call: BoundedCall) {
    Object.defineProperty(this, CALL, { value: call });
    Object.defineProperty(this, "signal", Asked.#signal);
  }

  static readonly #signal: PropertyDescriptor & ThisType<Asked> = {
    enumerable: true,
    get() {
      return this[CALL].signal;
    },
  };
}

function timeouts(spec: Spec): ManagerContext {
  const { startTimeoutMs, drainTimeoutMs, stopTimeoutMs } = spec.settings;
  return { startTimeoutMs, drainTimeoutMs, stopTimeoutMs };
}

import { Guard, isStewardError, type BreakerOptions } from "@steward/core";
import {
  assertShape,
  breakerSchema,
  checkOptions,
  countSchema,
  Manager,
  milliseconds,
  msSchema,
  shape,
  signal,
  textSchema,
  TimeoutReached,
  usualVerdict,
  withTimeout,
  type ManagerContext,
} from "@steward/core/driver";
import * as v from "valibot";
import { modelError } from "../errors.ts";
import type { TensorInfo, Tensors } from "../engine/tensor.ts";
import { runEach, type Model, type ModelCall } from "../serving/model.ts";
import { Signature, type Inputs } from "../serving/signature.ts";
import { fieldsOf, infosFromWire, WireProblem } from "./datatypes.ts";

/** Options that a remote model has over every form of the protocol. */
export interface RemoteOptions {
  /** Name of the model there. Default: that of the resource. */
  readonly model?: string | undefined;
  /** Version there. Default: what the server takes. */
  readonly version?: string | undefined;
  /** Longest call, time in the queue included, in ms. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Requests at once. Default 64. */
  readonly maxConcurrent?: number | undefined;
  /** Calls that wait; one more is refused with `OVERLOADED`. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Most rows of one call. Default 65,536. */
  readonly maxRows?: number | undefined;
  /** A circuit breaker, or `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
}

/** The same, once checked. */
export interface CheckedRemote {
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly timeoutMs: number;
  readonly maxConcurrent: number;
  readonly maxPending: number;
  readonly maxRows: number;
  readonly breaker: BreakerOptions | false;
}

type Entries = { readonly [K in keyof CheckedRemote]-?: v.GenericSchema<unknown, CheckedRemote[K]> };

/** How they are checked, beside those of one form of the protocol. */
export const remoteEntries = (): Entries => ({
  model: v.optional(textSchema()),
  version: v.optional(textSchema()),
  timeoutMs: v.optional(msSchema(), 30_000),
  maxConcurrent: v.optional(countSchema(1), 64),
  maxPending: v.optional(countSchema(0), 1_000),
  maxRows: v.optional(countSchema(1), 65_536),
  breaker: v.optional(breakerSchema(), {}),
});

/** What one call to the server is bound by. */
export interface RemoteCall {
  readonly signal: AbortSignal;
  /** Time that is left, in ms; `Infinity` where there is no bound. */
  readonly leftMs: number;
}

/** One model at a server, over one form of the protocol. Its errors are those of this package, or a {@link WireProblem}. */
export interface Endpoint {
  /** What the server says of the model: an object with `versions`, `inputs` and `outputs`. */
  describe(call: RemoteCall): Promise<unknown>;
  /** Rejects where the model is not ready. */
  ready(call: RemoteCall): Promise<void>;
  infer(inputs: Tensors, call: RemoteCall): Promise<Tensors>;
}

const CALL = /* @__PURE__ */ shape<ModelCall>(() => ({
  signal: signal(),
  timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
}));

/** What a remote model says of itself. */
interface Description {
  readonly version: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly signature: Signature;
}

/** What a form of the protocol brings. */
export interface RemoteParts<Checked extends CheckedRemote> {
  readonly schema: v.GenericSchema<unknown, Checked>;
  readonly options: unknown;
  readonly connect: (resource: string, options: Checked) => Endpoint;
}

/** Looks after a model at a server of the Open Inference Protocol, whichever form of it the server speaks. */
export abstract class RemoteManager<Checked extends CheckedRemote> extends Manager<Model> {
  readonly #options: Checked;
  readonly #endpoint: Endpoint;
  readonly #guard: Guard;
  readonly #client: Model;
  #description: Description | undefined;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(kind: string, { schema, options, connect }: RemoteParts<Checked>, context: ManagerContext) {
    super(kind, context);
    this.#options = checkOptions(this.name, schema, options);
    const { timeoutMs, maxConcurrent, maxPending, breaker } = this.#options;
    this.#endpoint = connect(this.name, this.#options);
    const judge = (error: unknown) => (isStewardError(error, "MODEL_INPUT_INVALID") ? "none" : usualVerdict(error));
    this.#guard = new Guard({
      ...this.guardBasis(),
      timeoutMs,
      maxConcurrent,
      maxPending,
      judge,
      breaker,
    });
    this.#client = this.#makeClient();
  }

  override get client(): Model {
    return this.#client;
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    this.#description = await this.#describe(signal);
  }

  protected override async onProbe(signal: AbortSignal): Promise<void> {
    await this.#endpoint.ready({ signal, leftMs: Number.POSITIVE_INFINITY });
  }

  /** Asks the server anew what the model takes: after it has loaded another version. */
  protected override async replace(): Promise<void> {
    const { timeoutMs } = this.#options;
    const abort = new AbortController();
    try {
      this.#description = await withTimeout(this.clock, timeoutMs, () => this.#describe(abort.signal), { abort });
    } catch (error) {
      if (!(error instanceof TimeoutReached)) throw error;
      const message = `the server did not say within ${timeoutMs} ms what the model takes`;
      throw modelError("MODEL_REMOTE_FAILED", this.name, message, { retryable: true });
    }
  }

  protected override get hasWorkToDrain(): boolean {
    return !this.#guard.isIdle;
  }

  protected override onDrain(): Promise<void> {
    return this.#guard.idle();
  }

  protected override onStop(): void {
    this.#guard.rejectPending(this.refusal());
  }

  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return { ...this.#guard.stats(), version: this.#description?.version };
  }

  #describe(signal: AbortSignal): Promise<Description> {
    return this.#read(async () => {
      const said = await this.#endpoint.describe({ signal, leftMs: this.#options.timeoutMs });
      const { inputs, outputs, versions } = fieldsOf(said, "the description");
      const info = { inputs: infosFromWire(inputs, "inputs"), outputs: infosFromWire(outputs, "outputs"), bytes: 0 };
      const newest: unknown = Array.isArray(versions) ? versions.at(-1) : undefined;
      const version = this.#options.version ?? (typeof newest === "string" ? newest : "");
      return { ...info, version, signature: new Signature(this.name, info, {}, this.#options.maxRows) };
    });
  }

  async #call(inputs: Inputs, call: ModelCall | undefined): Promise<Tensors> {
    if (call !== undefined) assertShape(this.name, CALL, call);
    const description = this.unavailable() === undefined ? this.#description : undefined;
    const item = description?.signature.item(inputs, 0);
    return this.#guard.run(async ({ signal, deadline }) => {
      if (item === undefined) throw this.refusal();
      const leftMs = deadline - this.clock.now();
      return this.#read(async () =>
        asDescribed(await this.#endpoint.infer(item.tensors, { signal, leftMs }), description),
      );
    }, call);
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof WireProblem)) throw error;
      throw modelError("MODEL_REMOTE_FAILED", this.name, `this is no Open Inference Protocol: ${error.message}`, {
        cause: error,
      });
    }
  }

  #makeClient(): Model {
    const required = (): Description => {
      if (this.#description === undefined) throw this.refusal();
      return this.#description;
    };
    const run = (inputs: Inputs, call?: ModelCall): Promise<Tensors> => this.#call(inputs, call);
    return {
      name: this.name,
      get version() {
        return required().version;
      },
      get inputs() {
        return required().inputs;
      },
      get outputs() {
        return required().outputs;
      },
      run,
      runMany: (inputs, call) => runEach(this.name, inputs, (each) => run(each, call)),
    };
  }
}

/** @throws {WireProblem} when an output that the model has is missing, or of another type. */
function asDescribed(outputs: Tensors, description: Description | undefined): Tensors {
  for (const { name, type } of description?.outputs ?? []) {
    const output = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
    if (output === undefined) throw new WireProblem(`there is no output "${name}"`);
    if (output.type !== type) throw new WireProblem(`output "${name}" is ${output.type}, and not ${type}`);
  }
  return outputs;
}

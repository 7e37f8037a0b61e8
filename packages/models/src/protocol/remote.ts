import { Guard, isStewardError, type BreakerOptions } from "@steward/core";
import {
  assertShape,
  breakerSchema,
  checkOptions,
  countSchema,
  defineDriver,
  describeError,
  functionSchema,
  givenSchema,
  isLoopback,
  Manager,
  milliseconds,
  msSchema,
  shape,
  signal,
  textSchema,
  usualVerdict,
  type DriverFactory,
  type ManagerContext,
} from "@steward/core/driver";
import * as v from "valibot";
import { inputInvalid, modelError } from "../errors.ts";
import type { TensorInfo, Tensors } from "../engine/tensor.ts";
import { runEach, type Model, type ModelCall } from "../serving/model.ts";
import { Signature, type Inputs } from "../serving/signature.ts";
import { fieldsOf, fromWire, infosFromWire, readJson, toWire, WireProblem } from "./wire.ts";

/** What we need of a fetch: that of Node, or the one of an HTTP session. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly signal: AbortSignal;
  },
) => Promise<Pick<Response, "status" | "headers" | "body">>;

/** Options of a {@link RemoteModelManager}. */
export interface RemoteModelOptions {
  /** Where the server is, such as `https://models.internal:8000`; a path before `/v2` stays. */
  readonly url: string;
  /** Name of the model there. Default: that of the resource. */
  readonly model?: string | undefined;
  /** Version there. Default: what the server takes. */
  readonly version?: string | undefined;
  /** Headers of each request, such as `authorization`. Default none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** True lets `authorization` go unencrypted beyond this machine. Default `false`. */
  readonly plaintext?: boolean | undefined;
  /** How requests are made: the fetch of an HTTP session, with its pool, TLS and limits. Default: that of Node. */
  readonly fetch?: Fetch | undefined;
  /** Longest call, time in the queue included, in ms. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Requests at once. Default 64. */
  readonly maxConcurrent?: number | undefined;
  /** Calls that wait; one more is refused with `OVERLOADED`. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** Most bytes of an answer. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** Most rows of one call. Default 65,536. */
  readonly maxRows?: number | undefined;
  /** A circuit breaker, or `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
}

interface CheckedRemote {
  readonly url: string;
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly plaintext: boolean;
  readonly fetch: Fetch;
  readonly timeoutMs: number;
  readonly maxConcurrent: number;
  readonly maxPending: number;
  readonly maxBytes: number;
  readonly maxRows: number;
  readonly breaker: BreakerOptions | false;
}

const MIB = 1024 * 1024;

function isServer(value: unknown): boolean {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return (protocol === "http:" || protocol === "https:") && username === "" && password === "";
}

function isHeaders(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (!Object.values(value).every((each) => typeof each === "string")) return false;
  try {
    void new Headers(Object.entries(value)); // refused when it is sent, with the value in the message
    return true;
  } catch {
    return false;
  }
}

const nodeFetch: Fetch = (url, init) => fetch(url, init);

const remoteSchema: v.GenericSchema<unknown, CheckedRemote> = v.pipe(
  v.strictObject({
    url: givenSchema<string>(isServer, "a URL of http or https, without a password"),
    model: v.optional(textSchema()),
    version: v.optional(textSchema()),
    headers: v.optional(
      givenSchema<Readonly<Record<string, string>>>(isHeaders, "an object of texts that a header may have"),
      {},
    ),
    plaintext: v.optional(v.boolean(), false),
    fetch: v.optional(functionSchema<Fetch>(), () => nodeFetch),
    timeoutMs: v.optional(msSchema(), 30_000),
    maxConcurrent: v.optional(countSchema(1), 64),
    maxPending: v.optional(countSchema(0), 1_000),
    maxBytes: v.optional(countSchema(1), 64 * MIB),
    maxRows: v.optional(countSchema(1), 65_536),
    breaker: v.optional(breakerSchema(), {}),
  }),
  v.forward(
    v.check(({ url, headers, plaintext }) => {
      const hasSecret = Object.keys(headers).some((name) => /^(authorization|cookie|proxy-authorization)$/i.test(name));
      return !hasSecret || plaintext || new URL(url).protocol === "https:" || isLoopback(new URL(url).hostname);
    }, "would go unencrypted: use https, or allow it with plaintext: true"),
    ["headers"],
  ),
);

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

/** Looks after a model at a server of the Open Inference Protocol: Triton, KServe, OpenVINO, or ours. */
export class RemoteModelManager extends Manager<Model> {
  readonly #options: CheckedRemote;
  readonly #guard: Guard;
  readonly #client: Model;
  #description: Description | undefined;

  /** @throws {OPTIONS_INVALID} listing everything that is wrong with the options. */
  constructor(options: RemoteModelOptions, context: ManagerContext = {}) {
    super("remote-model", context);
    this.#options = checkOptions(this.name, remoteSchema, options);
    const { timeoutMs, maxConcurrent, maxPending, breaker } = this.#options;
    const judge = (error: unknown) => (isStewardError(error, "MODEL_INPUT_INVALID") ? "none" : usualVerdict(error));
    this.#guard = new Guard({
      ...this.guardBasis(),
      timeoutMs,
      maxConcurrent,
      maxPending,
      judge,
      ...(breaker === false ? {} : { breaker }),
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
    await this.#request("GET", "/ready", undefined, signal);
  }

  /** Asks the server anew what the model takes: after it has loaded another version. */
  protected override async replace(): Promise<void> {
    this.#description = await this.#describe(new AbortController().signal);
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

  async #describe(signal: AbortSignal): Promise<Description> {
    const body = await this.#request("GET", "", undefined, signal);
    return this.#read(() => {
      const { inputs, outputs, versions } = fieldsOf(body, "the description");
      const info = { inputs: infosFromWire(inputs, "inputs"), outputs: infosFromWire(outputs, "outputs"), bytes: 0 };
      const version = this.#options.version ?? (Array.isArray(versions) ? String(versions.at(-1) ?? "") : "");
      return { ...info, version, signature: new Signature(this.name, info, {}, this.#options.maxRows) };
    });
  }

  async #call(inputs: Inputs, call: ModelCall | undefined): Promise<Tensors> {
    if (call !== undefined) assertShape(this.name, CALL, call);
    const description = this.unavailable() === undefined ? this.#description : undefined;
    const item = description?.signature.item(inputs, 0);
    return this.#guard.run(async ({ signal }) => {
      if (item === undefined) throw this.refusal();
      const answer = await this.#request("POST", "/infer", this.#written(item.tensors), signal);
      return this.#read(() => asDescribed(fromWire(fieldsOf(answer, "the answer")["outputs"], "outputs"), description));
    }, call);
  }

  /** A number that JSON has no form for is the caller's, and says nothing about the server. */
  #written(inputs: Tensors): string {
    try {
      return JSON.stringify({ inputs: toWire(inputs) });
    } catch (error) {
      throw error instanceof WireProblem ? inputInvalid(this.name, error.message) : error;
    }
  }

  async #request(method: string, path: string, body: string | undefined, signal: AbortSignal): Promise<unknown> {
    const { url, model = this.name, version, headers, fetch: send, maxBytes } = this.#options;
    const of = `${url.replace(/\/+$/, "")}/v2/models/${encodeURIComponent(model)}`;
    const whole = `${of}${version === undefined ? "" : `/versions/${encodeURIComponent(version)}`}${path}`;
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const init = {
      method,
      headers: { accept: "application/json", ...type, ...headers },
      signal,
      ...(body === undefined ? {} : { body }),
    };
    const answer = await send(whole, init).catch((cause: unknown) => {
      throw isStewardError(cause)
        ? cause
        : modelError("MODEL_REMOTE_FAILED", this.name, `no answer from ${of}: ${causeOf(cause)}`, {
            retryable: true,
            cause,
          });
    });
    const isEmpty = path === "/ready" && answer.status === 200; // servers answer it with and without a body
    const content = isEmpty
      ? await answer.body?.cancel()
      : await readJson(answer.body, maxBytes).catch((cause: unknown) => this.#unreadable(answer.status, cause));
    if (answer.status === 200) return content;
    throw this.#refused(answer.status, content, answer.headers.get("retry-after"));
  }

  /** A proxy's error page is no JSON: then the status says enough. */
  #unreadable(status: number, cause: unknown): undefined {
    if (status !== 200) return undefined;
    throw modelError("MODEL_REMOTE_FAILED", this.name, describeError(cause), { retryable: true, cause });
  }

  #refused(status: number, content: unknown, after: string | null): Error {
    const said =
      typeof content === "object" && content !== null && "error" in content
        ? String(content.error).slice(0, 500)
        : "nothing more";
    const message = `the server answered ${status}: ${said}`;
    if (status === 400 || status === 422) return modelError("MODEL_INPUT_INVALID", this.name, message);
    if (status === 404) return modelError("MODEL_UNKNOWN", this.name, message);
    const seconds = Number(after ?? Number.NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : undefined;
    return modelError("MODEL_REMOTE_FAILED", this.name, message, {
      retryable: status === 429 || status >= 500,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }

  #read<T>(read: () => T): T {
    try {
      return read();
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

/** Fetch hides why a connection failed in the cause. */
function causeOf(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? describeError(error.cause) : describeError(error);
}

/**
 * Defines a model at a server of the Open Inference Protocol (KServe v2). Its value is a `Model`, as that of a local one, so
 * which of the two it is can be decided in one place.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { remoteModel } from "@steward/models/remote";
 * const caption = remoteModel("caption", { url: "https://models.internal:8000", version: "3", timeoutMs: 2_000 });
 * console.log(caption.name); // => caption
 * ```
 */
export const remoteModel: DriverFactory<RemoteModelOptions, Model> = /* @__PURE__ */ defineDriver<
  RemoteModelOptions,
  Model
>({
  kind: "remote-model",
  schema: remoteSchema,
  settings: { readiness: "startup" },
  create: (options, context) => new RemoteModelManager(options, context),
  inherit: ({ timeoutMs, breaker }) => ({ timeoutMs, breaker }),
});

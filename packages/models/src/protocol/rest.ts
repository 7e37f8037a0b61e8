import { isStewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { inputInvalid, modelError } from "../errors.ts";
import type { Tensors } from "../engine/tensor.ts";
import { BINARY_EXTENSION, bodyOf, HEADER_LENGTH, received, RawReader, type Received, type WireBody } from "./body.ts";
import { fieldsOf, WireProblem } from "./datatypes.ts";
import { causeOf, type Fetch } from "./fetch.ts";
import type { Endpoint, RemoteCall } from "./remote-manager.ts";
import { fromWire, toWire } from "./wire.ts";

/** Where a model is over REST, and how it is asked. */
export interface RestOptions {
  readonly url: string;
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: Fetch;
  readonly maxBytes: number;
  readonly binary?: boolean | undefined;
}

const NOTHING = { json: undefined, raw: new RawReader(new Uint8Array()) };

/** One model over REST: with JSON, or with the bytes of tensors behind it. */
export class RestEndpoint implements Endpoint {
  readonly #resource: string;
  readonly #options: RestOptions;
  readonly #server: string;
  readonly #model: string;
  #isBinary: boolean;

  constructor(resource: string, options: RestOptions) {
    this.#resource = resource;
    this.#options = options;
    const { url, model = resource, version, binary } = options;
    this.#server = `${url.replace(/\/+$/, "")}/v2`;
    const of = `${this.#server}/models/${encodeURIComponent(model)}`;
    this.#model = version === undefined ? of : `${of}/versions/${encodeURIComponent(version)}`;
    this.#isBinary = binary ?? false;
  }

  async describe(call: RemoteCall): Promise<unknown> {
    const { json } = await this.#request("GET", this.#model, undefined, call);
    this.#isBinary = this.#options.binary ?? (await this.#offersBinary(call));
    return json;
  }

  /** A gateway may route models alone: a server that does not say what it can is sent JSON, which all take. */
  async #offersBinary(call: RemoteCall): Promise<boolean> {
    try {
      const { json } = await this.#request("GET", this.#server, undefined, call);
      const { extensions } = fieldsOf(json, "the description of the server");
      return Array.isArray(extensions) && extensions.includes(BINARY_EXTENSION);
    } catch (error) {
      if (call.signal.aborted) throw error;
      return false;
    }
  }

  async ready(call: RemoteCall): Promise<void> {
    await this.#request("GET", `${this.#model}/ready`, undefined, call);
  }

  async infer(inputs: Tensors, call: RemoteCall): Promise<Tensors> {
    const { json, raw } = await this.#request("POST", `${this.#model}/infer`, this.#written(inputs), call);
    return fromWire(fieldsOf(json, "the answer")["outputs"], "outputs", raw);
  }

  /** A number that JSON has no form for is the caller's, and says nothing about the server. */
  #written(inputs: Tensors): WireBody {
    try {
      const { tensors, raw } = toWire(inputs, () => this.#isBinary);
      return bodyOf({ inputs: tensors, ...(this.#isBinary ? { parameters: { binary_data_output: true } } : {}) }, raw);
    } catch (error) {
      throw error instanceof WireProblem ? inputInvalid(this.#resource, error.message) : error;
    }
  }

  async #request(method: string, url: string, body: WireBody | undefined, { signal }: RemoteCall): Promise<Received> {
    const { headers, fetch: send, maxBytes } = this.#options;
    const init = {
      method,
      headers: {
        accept: this.#isBinary ? "application/json, application/octet-stream" : "application/json",
        ...body?.headers,
        ...headers,
      },
      signal,
      redirect: "manual" as const, // what is sent would go to a server that was not chosen, unencrypted perhaps
      ...(body === undefined ? {} : { body: body.content }),
    };
    const answer = await send(url, init).catch((cause: unknown) => this.#unreached(url, cause));
    const isEmpty = url.endsWith("/ready") && answer.status === 200; // servers answer it with and without a body
    if (isEmpty) await answer.body?.cancel();
    const content = isEmpty
      ? NOTHING
      : await received(answer.body, answer.headers.get(HEADER_LENGTH), maxBytes).catch((cause: unknown) =>
          this.#unreadable(answer.status, cause),
        );
    if (answer.status === 200) return content;
    throw this.#refused(answer.status, content.json, answer.headers.get("retry-after"));
  }

  #unreached(url: string, cause: unknown): never {
    if (isStewardError(cause)) throw cause;
    const message = `no answer from ${url}: ${describeError(causeOf(cause))}`;
    throw modelError("MODEL_REMOTE_FAILED", this.#resource, message, { retryable: true, cause });
  }

  /** A proxy's error page is no JSON: then the status says enough. */
  #unreadable(status: number, cause: unknown): Received {
    if (status !== 200) return NOTHING;
    throw modelError("MODEL_REMOTE_FAILED", this.#resource, describeError(cause), { retryable: true, cause });
  }

  #refused(status: number, content: unknown, after: string | null): Error {
    const said =
      typeof content === "object" && content !== null && "error" in content && typeof content.error === "string"
        ? content.error.slice(0, 500)
        : "nothing more";
    const message = `the server answered ${status}: ${said}`;
    if (status === 400 || status === 422) return modelError("MODEL_INPUT_INVALID", this.#resource, message);
    if (status === 404) return modelError("MODEL_UNKNOWN", this.#resource, message);
    const retryAfterMs = /^[0-9]{1,6}$/.test(after ?? "") ? Number(after) * 1_000 : undefined;
    return modelError("MODEL_REMOTE_FAILED", this.#resource, message, {
      retryable: status === 429 || status >= 500,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
}

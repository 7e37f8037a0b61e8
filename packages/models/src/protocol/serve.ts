import { httpStatusOf, isStewardError, publicError } from "@steward/core";
import { assertShape, checkShape, func, shape, wholeNumber } from "@steward/core/driver";
import type { Tensors } from "../engine/tensor.ts";
import type { Model } from "../serving/model.ts";
import { BINARY_EXTENSION, bodyOf, HEADER_LENGTH, received, TooLarge } from "./body.ts";
import { fieldsOf, WireProblem } from "./datatypes.ts";
import { asked, assertServed, described, Refusal, servedRule, withServed, type ServedModels } from "./served.ts";
import { fromWire, toWire, type WireTensors } from "./wire.ts";

export type { ServedModels } from "./served.ts";

/** How models are served. */
export interface InferenceOptions {
  /** Most bytes of a request. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
  /** Whether the server takes requests: `/v2/health/ready`. Default: always. */
  readonly isReady?: (() => boolean) | undefined;
}

const OPTIONS = /* @__PURE__ */ shape<InferenceOptions>(() => ({ maxBytes: wholeNumber(1), isReady: func() }));

/** An inference that was asked for over REST. */
interface Asked {
  readonly id: string | undefined;
  readonly inputs: Tensors;
  /** Outputs by name, each with whether its bytes go behind the JSON, where that is said. None: all outputs. */
  readonly outputs: ReadonlyMap<string, boolean | undefined>;
  /** Whether bytes go behind the JSON where an output does not say it. */
  readonly isBinary: boolean;
}

const MIB = 1024 * 1024;
const PATH = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(\/ready|\/infer)?\/?$/;

/**
 * Serves models over the Open Inference Protocol (KServe v2), REST with JSON and binary tensors: `GET /v2`, `/v2/health/live`, `/v2/health/ready`,
 * `/v2/models/NAME`, `.../ready` and `POST .../infer`, each also with `/versions/N`. It is a function of a `Request`, which
 * every framework can mount; who may call it is decided before it.
 *
 * @throws {OPTIONS_INVALID} when what is to be served is neither models nor a catalog, or an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { inferenceHandler } from "@steward/models/serve";
 * import { testModel } from "@steward/models/testing";
 * await using manager = await testModel().start();
 * const handler = inferenceHandler({ echo: manager.client });
 * const body = JSON.stringify({ inputs: [{ name: "x", shape: [1, 1], datatype: "FP32", data: [7] }] });
 * const answer = await handler(new Request("http://localhost/v2/models/echo/infer", { method: "POST", body }));
 * console.log(await answer.text()); // => {"model_name":"echo","model_version":"1","outputs":[{"name":"y","shape":[1,1],"datatype":"FP32","data":[7]}]}
 * ```
 */
export function inferenceHandler(
  models: ServedModels,
  options?: InferenceOptions,
): (request: Request) => Promise<Response> {
  assertShape("inferenceHandler", servedRule, models);
  const checked = checkShape("inferenceHandler", OPTIONS, options);
  const server = new InferenceServer(models, checked);
  return (request) => server.answer(request);
}

class InferenceServer {
  readonly #models: ServedModels;
  readonly #options: InferenceOptions;

  constructor(models: ServedModels, options: InferenceOptions) {
    this.#models = models;
    this.#options = options;
  }

  async answer(request: Request): Promise<Response> {
    try {
      return await this.#answer(request, new URL(request.url).pathname);
    } catch (error) {
      return refused(error);
    }
  }

  #answer(request: Request, path: string): Promise<Response> | Response {
    const isGet = request.method === "GET" || request.method === "HEAD";
    const [, name, version, end] = PATH.exec(path) ?? [];
    if (name === undefined) return isGet ? this.#ofServer(path) : refusedMethod(path);
    const of = decodeURIComponent(name);
    const wanted = version === undefined ? undefined : decodeURIComponent(version);
    if (end === "/infer") {
      if (request.method !== "POST") throw new Refusal(405, "an inference is a POST", "POST");
      return this.#infer(of, wanted, request);
    }
    if (!isGet) throw new Refusal(405, "this is read with GET", "GET, HEAD");
    return withServed(this.#models, of, wanted, (model) =>
      Response.json(end === "/ready" ? { name: of, ready: model.version !== "" } : described(of, model)),
    );
  }

  #ofServer(path: string): Response {
    if (path === "/v2" || path === "/v2/")
      return Response.json({ name: "steward", version: "2", extensions: [BINARY_EXTENSION] });
    if (path === "/v2/health/live") return Response.json({ live: true });
    if (path !== "/v2/health/ready") throw new Refusal(404, "there is nothing here");
    const ready = this.#options.isReady?.() ?? true;
    return Response.json({ ready }, { status: ready ? 200 : 503 });
  }

  /** Reads first, so that a slow caller keeps no model in use. */
  async #infer(name: string, version: string | undefined, { body, headers, signal }: Request): Promise<Response> {
    assertServed(this.#models, name, version);
    const { json, raw } = await received(body, headers.get(HEADER_LENGTH), this.#options.maxBytes ?? 16 * MIB, signal);
    const { id, inputs, outputs, parameters } = fieldsOf(json, "the body");
    if (id !== undefined && typeof id !== "string") throw new WireProblem("id must be text");
    const isBinary = flagOf(parameters, "binary_data_output") ?? false;
    const request = { id, inputs: fromWire(inputs, "inputs", raw), outputs: outputsOf(outputs), isBinary };
    return withServed(this.#models, name, version, (model) => ran(name, model, request, signal));
  }
}

async function ran(
  name: string,
  model: Model,
  { id, inputs, outputs, isBinary }: Asked,
  signal: AbortSignal,
): Promise<Response> {
  const { version } = model;
  const results = asked(await model.run(inputs, { signal }), [...outputs.keys()]);
  const { tensors, raw } = written(results, (each) => outputs.get(each) ?? isBinary);
  const fields = {
    model_name: name,
    model_version: version,
    ...(id === undefined ? {} : { id }),
    outputs: tensors,
  };
  const { content, headers } = bodyOf(fields, raw);
  return new Response(content, { headers: { ...headers, "content-length": String(Buffer.byteLength(content)) } });
}

/** What a model gave is no fault of its caller. */
function written(outputs: Tensors, isBinary: (name: string) => boolean): WireTensors {
  try {
    return toWire(outputs, isBinary);
  } catch (error) {
    throw error instanceof WireProblem ? new Refusal(500, error.message) : error;
  }
}

function refusedMethod(path: string): never {
  throw path.startsWith("/v2")
    ? new Refusal(405, "this is read with GET", "GET, HEAD")
    : new Refusal(404, "there is nothing here");
}

function outputsOf(outputs: unknown): Asked["outputs"] {
  if (outputs === undefined) return new Map();
  if (!Array.isArray(outputs)) throw new WireProblem("outputs must be a list");
  return new Map(
    (outputs as readonly unknown[]).map((each) => {
      const { name, parameters } = fieldsOf(each, "outputs");
      if (typeof name !== "string") throw new WireProblem("an entry of outputs has no name");
      return [name, flagOf(parameters, "binary_data")];
    }),
  );
}

function flagOf(parameters: unknown, name: string): boolean | undefined {
  const flag = parameters === undefined ? undefined : fieldsOf(parameters, "parameters")[name];
  if (flag === undefined || typeof flag === "boolean") return flag;
  throw new WireProblem(`${name} must be true or false`);
}

/** The public part of what went wrong, in the form of the protocol. */
function refused(error: unknown): Response {
  if (error instanceof Refusal) {
    const headers = error.allow === undefined ? {} : { allow: error.allow };
    return Response.json({ error: error.message }, { status: error.status, headers });
  }
  if (error instanceof TooLarge) return Response.json({ error: error.message }, { status: 413 });
  if (error instanceof WireProblem || error instanceof URIError)
    return Response.json({ error: error.message }, { status: 400 });
  const { code, message, retryAfterMs } = publicError(error);
  if (isStewardError(error, "MODEL_UNKNOWN"))
    return Response.json({ error: "there is no such model or version", code }, { status: 404 });
  const status = isStewardError(error, "MODEL_INPUT_INVALID") ? 400 : httpStatusOf(error);
  const headers = retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) };
  return Response.json({ error: message, code }, { status, headers });
}

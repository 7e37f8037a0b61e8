import { httpStatusOf, isStewardError, publicError } from "@steward/core";
import { assertShape, checkShape, func, recognised, shape, wholeNumber } from "@steward/core/driver";
import type { ModelCatalog } from "../catalog/catalog.ts";
import type { Tensors } from "../engine/tensor.ts";
import type { Model } from "../serving/model.ts";
import { fieldsOf, fromWire, infoToWire, readJson, TooLarge, toWire, WireProblem } from "./wire.ts";

/** What is served: models by name, or a catalog, whose models are loaded when they are asked for. */
export type ServedModels = Readonly<Record<string, Model>> | ModelCatalog;

/** How models are served. */
export interface InferenceOptions {
  /** Most bytes of a request. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
  /** Whether the server takes requests: `/v2/health/ready`. Default: always. */
  readonly isReady?: (() => boolean) | undefined;
}

const MODELS = /* @__PURE__ */ recognised(isServed, "models by name, { echo: model }, or a catalog");
const OPTIONS = /* @__PURE__ */ shape<InferenceOptions>(() => ({ maxBytes: wholeNumber(1), isReady: func() }));

/** A request that is none of the protocol. */
class Refusal extends Error {
  readonly status: number;
  readonly allow: string | undefined;

  constructor(status: number, message: string, allow?: string) {
    super(message);
    this.status = status;
    this.allow = allow;
  }
}

const MIB = 1024 * 1024;
const PATH = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(\/ready|\/infer)?\/?$/;

/**
 * Serves models over the Open Inference Protocol (KServe v2), REST with JSON: `GET /v2`, `/v2/health/live`, `/v2/health/ready`,
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
  assertShape("inferenceHandler", MODELS, models);
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
    if (end === "/infer") {
      if (request.method !== "POST") throw new Refusal(405, "an inference is a POST", "POST");
      return this.#infer(of, version, request);
    }
    if (!isGet) throw new Refusal(405, "this is read with GET", "GET, HEAD");
    return this.#with(of, version, (model) =>
      Response.json(end === "/ready" ? { name: of, ready: model.version !== "" } : described(of, model)),
    );
  }

  #ofServer(path: string): Response {
    if (path === "/v2" || path === "/v2/") return Response.json({ name: "steward", version: "2", extensions: [] });
    if (path === "/v2/health/live") return Response.json({ live: true });
    if (path !== "/v2/health/ready") throw new Refusal(404, "there is nothing here");
    const ready = this.#options.isReady?.() ?? true;
    return Response.json({ ready }, { status: ready ? 200 : 503 });
  }

  #with(
    name: string,
    version: string | undefined,
    work: (model: Model) => Promise<Response> | Response,
  ): Promise<Response> | Response {
    if (isCatalog(this.#models)) {
      const wanted = version === undefined ? undefined : Number(version);
      if (wanted !== undefined && !(Number.isSafeInteger(wanted) && wanted >= 1))
        throw new Refusal(404, "there is no such version");
      return this.#models.use(name, work, { version: wanted });
    }
    return work(named(this.#models, name, version));
  }

  /** Reads first, so that a slow caller keeps no model in use. */
  async #infer(name: string, version: string | undefined, { body, signal }: Request): Promise<Response> {
    if (!isCatalog(this.#models)) named(this.#models, name, version); // what is not there is said at once
    const content = await readJson(body, this.#options.maxBytes ?? 16 * MIB, signal);
    const { id, inputs, outputs } = fieldsOf(content, "the body");
    if (id !== undefined && typeof id !== "string") throw new WireProblem("id must be text");
    const wanted = outputs === undefined ? undefined : namesOf(outputs);
    const tensors = fromWire(inputs, "inputs");
    return this.#with(name, version, (model) => ran(name, model, id, tensors, wanted, signal));
  }
}

async function ran(
  name: string,
  model: Model,
  id: string | undefined,
  inputs: Tensors,
  wanted: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const { version } = model;
  const results = await model.run(inputs, { signal });
  const unknown = wanted?.find((each) => !Object.hasOwn(results, each));
  if (unknown !== undefined) throw new WireProblem(`there is no output "${unknown}"`);
  const kept =
    wanted === undefined
      ? results
      : Object.fromEntries(Object.entries(results).filter(([each]) => wanted.includes(each)));
  return Response.json({
    model_name: name,
    model_version: version,
    ...(id === undefined ? {} : { id }),
    outputs: written(kept),
  });
}

/** What a model gave is no fault of its caller. */
function written(outputs: Tensors): ReturnType<typeof toWire> {
  try {
    return toWire(outputs);
  } catch (error) {
    throw error instanceof WireProblem ? new Refusal(500, error.message) : error;
  }
}

function named(models: Readonly<Record<string, Model>>, name: string, version: string | undefined): Model {
  const model = Object.hasOwn(models, name) ? models[name] : undefined;
  if (model === undefined) throw new Refusal(404, "there is no such model");
  if (version !== undefined && version !== model.version) throw new Refusal(404, "there is no such version");
  return model;
}

function isServed(models: unknown): boolean {
  if (typeof models !== "object" || models === null) return false;
  return isCatalog(models as ServedModels) || Object.values(models).every(isModel);
}

function isModel(value: unknown): boolean {
  return typeof value === "object" && value !== null && "run" in value && typeof value.run === "function";
}

function isCatalog(models: ServedModels): models is ModelCatalog {
  return typeof models["use"] === "function";
}

function refusedMethod(path: string): never {
  throw path.startsWith("/v2")
    ? new Refusal(405, "this is read with GET", "GET, HEAD")
    : new Refusal(404, "there is nothing here");
}

function namesOf(outputs: unknown): readonly string[] {
  if (!Array.isArray(outputs)) throw new WireProblem("outputs must be a list");
  return outputs.map((each) => {
    const { name } = fieldsOf(each, "outputs");
    if (typeof name !== "string") throw new WireProblem("an entry of outputs has no name");
    return name;
  });
}

function described(name: string, { version, inputs, outputs }: Model): object {
  return {
    name,
    versions: [version],
    platform: "onnxruntime_onnx",
    inputs: inputs.map(infoToWire),
    outputs: outputs.map(infoToWire),
  };
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

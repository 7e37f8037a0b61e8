import { isStewardError } from "@steward/core";
import { assertShape, checkShape, func, shape } from "@steward/core/driver";
import { GrpcStatusError, implement, type GrpcService, type StatusName } from "@steward/grpc";
import { WireProblem } from "../datatypes.ts";
import { asked, assertServed, described, Refusal, servedRule, withServed, type ServedModels } from "../served.ts";
import { fromMessage, toMessage } from "./contents.ts";
import { inferenceClass, type InferenceHandlers, type InferRequest, type InferResponse } from "./messages.ts";

/** How models are served over gRPC. */
export interface InferenceServiceOptions {
  /** Whether the server takes requests: `ServerReady`. Default: always. */
  readonly isReady?: (() => boolean) | undefined;
}

const OPTIONS = /* @__PURE__ */ shape<InferenceServiceOptions>(() => ({ isReady: func() }));

/**
 * Serves models over the Open Inference Protocol (KServe v2) by gRPC: a service for a `grpcServer`, which bounds messages, calls
 * and deadlines. Outputs come in the form that the inputs have, raw or by their types.
 *
 * @throws {OPTIONS_INVALID} when what is to be served is neither models nor a catalog, or an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { GrpcChannelManager, GrpcServerManager } from "@steward/grpc";
 * import { GrpcModelManager, inferenceService } from "@steward/models/grpc";
 * import { testModel } from "@steward/models/testing";
 * await using local = await testModel().start();
 * await using server = await new GrpcServerManager({ services: [inferenceService({ echo: local.client })] }).start();
 * await using channel = await new GrpcChannelManager({ address: server.client.address }).start();
 * await using far = await new GrpcModelManager({ channel: channel.client, model: "echo" }).start();
 * const { y } = await far.client.run({ x: Float32Array.of(7) });
 * console.log(y?.data[0]); // => 7
 * ```
 */
export function inferenceService(models: ServedModels, options?: InferenceServiceOptions): GrpcService {
  assertShape("inferenceService", servedRule, models);
  const { isReady } = checkShape("inferenceService", OPTIONS, options);
  return implement<InferenceHandlers>(inferenceClass(), {
    ServerLive: () => ({ live: true }),
    ServerReady: () => ({ ready: isReady?.() ?? true }),
    ServerMetadata: () => ({ name: "steward", version: "2", extensions: [] }),
    ModelReady: ({ name, version }) =>
      answered(() => withServed(models, name, wanted(version), (model) => ({ ready: model.version !== "" }))),
    ModelMetadata: ({ name, version }) =>
      answered(() => withServed(models, name, wanted(version), (model) => described(name, model))),
    ModelInfer: (request, { signal }) => answered(() => infer(models, request, signal)),
  });
}

/** An empty version is none. */
function wanted(version: string): string | undefined {
  return version === "" ? undefined : version;
}

/** What is wrong with the request is found before a model is in use. */
async function infer(models: ServedModels, request: InferRequest, signal: AbortSignal): Promise<InferResponse> {
  const { model_name: name, id, inputs, outputs, raw_input_contents: raw } = request;
  const version = wanted(request.model_version);
  assertServed(models, name, version);
  const tensors = fromMessage(inputs, raw, "inputs");
  return withServed(models, name, version, async (model) => {
    const { version: model_version } = model;
    const results = await model.run(tensors, { signal });
    const kept = asked(
      results,
      outputs.map((each) => each.name),
    );
    const written = toMessage(kept, raw.length > 0 || inputs.length === 0);
    return { model_name: name, model_version, id, outputs: written.tensors, raw_output_contents: written.raw };
  });
}

const WRONG: StatusName = "INVALID_ARGUMENT";
const NOT_HERE: StatusName = "NOT_FOUND";
const OURS: StatusName = "INTERNAL";

/** Answers with the statuses that the protocol has; every other error gets that of its public part. */
async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof WireProblem) throw new GrpcStatusError(WRONG, error.message);
    if (error instanceof Refusal) throw new GrpcStatusError(error.status === 404 ? NOT_HERE : OURS, error.message);
    if (isStewardError(error, "MODEL_UNKNOWN"))
      throw new GrpcStatusError(NOT_HERE, "there is no such model or version", { reason: error.code });
    throw error;
  }
}

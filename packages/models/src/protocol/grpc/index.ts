export { grpcModel, GrpcModelManager, type GrpcModelOptions } from "./remote.ts";
export { inferenceService, type InferenceServiceOptions } from "./serve.ts";

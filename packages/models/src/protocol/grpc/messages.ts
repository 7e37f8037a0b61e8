import { fileURLToPath } from "node:url";
import type { Client, handleUnaryCall, ServiceError, ClientUnaryCall, CallOptions } from "@grpc/grpc-js";
import { loadProto, type ServiceConstructor } from "@steward/grpc";
import type { WireInfo } from "../datatypes.ts";

/** Elements of a tensor by their type: one of the lists is filled. */
export type Contents = Readonly<Partial<Record<ContentsName, readonly unknown[]>>>;

/** Lists by their names. */
export type ContentsName =
  | "bool_contents"
  | "int_contents"
  | "int64_contents"
  | "uint_contents"
  | "uint64_contents"
  | "fp32_contents"
  | "fp64_contents"
  | "bytes_contents";

/** A tensor without its bytes, where these are raw. Texts stand for the sizes that came, numbers for those that go. */
export interface InferTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | string)[];
  readonly contents?: Contents | null;
}

export interface ModelName {
  readonly name: string;
  readonly version: string;
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly WireInfo[];
  readonly outputs: readonly WireInfo[];
}

export interface InferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly inputs: readonly InferTensor[];
  readonly outputs: readonly { readonly name: string }[];
  readonly raw_input_contents: readonly Uint8Array[];
}

export interface InferResponse {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly outputs: readonly InferTensor[];
  readonly raw_output_contents: readonly Uint8Array[];
}

/** The methods of the service at a server. */
export interface InferenceHandlers {
  ServerLive: handleUnaryCall<object, { readonly live: boolean }>;
  ServerReady: handleUnaryCall<object, { readonly ready: boolean }>;
  ModelReady: handleUnaryCall<ModelName, { readonly ready: boolean }>;
  ServerMetadata: handleUnaryCall<object, { name: string; version: string; extensions: readonly string[] }>;
  ModelMetadata: handleUnaryCall<ModelName, ModelMetadata>;
  ModelInfer: handleUnaryCall<InferRequest, InferResponse>;
}

/** Calls one of its methods. */
export type Ask<Request, Answer> = (
  request: Request,
  options: CallOptions,
  answer: (error: ServiceError | null, answer?: Answer) => void,
) => ClientUnaryCall;

/** A client of the service: what of it is used. */
export interface InferenceClient extends Client {
  ModelReady: Ask<ModelName, { readonly ready: boolean }>;
  ModelMetadata: Ask<ModelName, ModelMetadata>;
  ModelInfer: Ask<Partial<InferRequest>, InferResponse>;
}

interface Types {
  readonly inference: { readonly GRPCInferenceService: ServiceConstructor<InferenceClient> };
}

let loaded: Types["inference"]["GRPCInferenceService"] | undefined;

/** The service, read from its file when it is first used. */
export function inferenceClass(): Types["inference"]["GRPCInferenceService"] {
  return (loaded ??= loadProto<Types>(fileURLToPath(import.meta.resolve("#inference-proto")), { keepCase: true }).types
    .inference.GRPCInferenceService);
}

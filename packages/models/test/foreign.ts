import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ChannelCredentials,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type Client,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";

/** Messages of the protocol as it is published: each field with its type, behind its number. None of it is from our file. */
const MESSAGES: Readonly<Record<string, readonly string[]>> = {
  ServerLiveRequest: [],
  ServerLiveResponse: ["1 bool live"],
  ServerReadyRequest: [],
  ServerReadyResponse: ["1 bool ready"],
  ModelReadyRequest: ["1 string name", "2 string version"],
  ModelReadyResponse: ["1 bool ready"],
  ServerMetadataRequest: [],
  ServerMetadataResponse: ["1 string name", "2 string version", "3 repeated string extensions"],
  ModelMetadataRequest: ["1 string name", "2 string version"],
  "ModelMetadataResponse.TensorMetadata": ["1 string name", "2 string datatype", "3 repeated int64 shape"],
  ModelMetadataResponse: [
    "1 string name",
    "2 repeated string versions",
    "3 string platform",
    "4 repeated TensorMetadata inputs",
    "5 repeated TensorMetadata outputs",
  ],
  "ModelInferRequest.InferInputTensor": [
    "1 string name",
    "2 string datatype",
    "3 repeated int64 shape",
    "4 map<string,InferParameter> parameters",
    "5 InferTensorContents contents",
  ],
  "ModelInferRequest.InferRequestedOutputTensor": ["1 string name", "2 map<string,InferParameter> parameters"],
  ModelInferRequest: [
    "1 string model_name",
    "2 string model_version",
    "3 string id",
    "4 map<string,InferParameter> parameters",
    "5 repeated InferInputTensor inputs",
    "6 repeated InferRequestedOutputTensor outputs",
    "7 repeated bytes raw_input_contents",
  ],
  "ModelInferResponse.InferOutputTensor": [
    "1 string name",
    "2 string datatype",
    "3 repeated int64 shape",
    "4 map<string,InferParameter> parameters",
    "5 InferTensorContents contents",
  ],
  ModelInferResponse: [
    "1 string model_name",
    "2 string model_version",
    "3 string id",
    "4 map<string,InferParameter> parameters",
    "5 repeated InferOutputTensor outputs",
    "6 repeated bytes raw_output_contents",
  ],
  InferParameter: [
    "oneof parameter_choice",
    "1 bool bool_param",
    "2 int64 int64_param",
    "3 string string_param",
    "4 double double_param",
    "5 uint64 uint64_param",
  ],
  InferTensorContents: [
    "1 repeated bool bool_contents",
    "2 repeated int32 int_contents",
    "3 repeated int64 int64_contents",
    "4 repeated uint32 uint_contents",
    "5 repeated uint64 uint64_contents",
    "6 repeated float fp32_contents",
    "7 repeated double fp64_contents",
    "8 repeated bytes bytes_contents",
  ],
};

const METHODS = ["ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"];

function written(name: string): string {
  const lines = (MESSAGES[name] ?? []).map((line) => {
    const [number, ...field] = line.split(" ");
    return number === "oneof" ? "" : `${field.join(" ")} = ${number};`;
  });
  const isOneOf = MESSAGES[name]?.[0]?.startsWith("oneof") === true;
  const fields = isOneOf ? `${MESSAGES[name]?.[0]} { ${lines.join(" ")} }` : lines.join(" ");
  const inner = Object.keys(MESSAGES).filter((each) => each.startsWith(`${name}.`));
  return `message ${name.split(".").at(-1)} { ${inner.map(written).join(" ")} ${fields} }`;
}

/** The service as another implementation has it. */
export function published(): PackageDefinition {
  const folder = mkdtempSync(join(tmpdir(), "inference-"));
  try {
    const methods = METHODS.map((name) => `rpc ${name}(${name}Request) returns (${name}Response);`);
    const messages = Object.keys(MESSAGES).filter((name) => !name.includes("."));
    const text = ['syntax = "proto3";', "package inference;", ...messages.map(written)];
    const file = join(folder, "published.proto");
    writeFileSync(file, [...text, `service GRPCInferenceService { ${methods.join(" ")} }`].join("\n"));
    return loadSync(file, { keepCase: true, longs: String, defaults: true });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Made = new (address: string, credentials: ChannelCredentials) => Client;
type Answer = Readonly<Record<string, unknown>>;

/** A client of grpc-js over the published messages: `ask("ModelInfer", {...})`. */
export function rawClient(address: string) {
  const { inference } = loadPackageDefinition(published()) as unknown as {
    inference: { GRPCInferenceService: Made };
  };
  const client = new inference.GRPCInferenceService(address, ChannelCredentials.createInsecure());
  return {
    ask: (method: string, request: object = {}, options: object = {}): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const call = Reflect.get(client, method) as (...args: readonly unknown[]) => void;
        call.call(client, request, options, (error: Error | null, answer: Answer) =>
          error === null ? resolve(answer) : reject(error),
        );
      }),
    [Symbol.dispose]: () => client.close(),
  };
}

/** A server of grpc-js over the published messages. */
export async function rawServer(
  handlers: Readonly<Record<string, (call: ServerUnaryCall<Answer, Answer>) => unknown>>,
): Promise<{ address: string } & AsyncDisposable> {
  const definition = published()["inference.GRPCInferenceService"] as ServiceDefinition;
  const server = new Server();
  const implementation: UntypedServiceImplementation = Object.fromEntries(
    Object.entries(handlers).map(([name, handler]) => [
      name,
      (call: ServerUnaryCall<Answer, Answer>, answer: sendUnaryData<unknown>) =>
        void Promise.resolve()
          .then(() => handler(call))
          .then(
            (value) => answer(null, value),
            (error: Error) => answer(error),
          ),
    ]),
  );
  server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

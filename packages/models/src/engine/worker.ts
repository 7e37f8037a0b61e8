import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { StewardError } from "@steward/core";
import { serveWorker, type ServedCall } from "@steward/core/worker";
import type { Device, EngineInfo, EngineTask } from "./engine.ts";
import { packed, unpacked, type Packed } from "./packed.ts";
import { isTensorType, isText, MOVED_BYTES, type Tensor, type TensorData, type TensorInfo } from "./tensor.ts";

/** What we use of onnxruntime, which both of its packages have. */
interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<Session>;
  };
  readonly Tensor: new (type: string, data: unknown, shape: readonly number[]) => RuntimeTensor;
}

interface Session {
  readonly inputMetadata: readonly TensorInfo[];
  readonly outputMetadata: readonly TensorInfo[];
  run(feeds: Readonly<Record<string, RuntimeTensor>>): Promise<Readonly<Record<string, RuntimeTensor>>>;
  release(): Promise<void>;
}

interface RuntimeTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** The methods of the worker that holds a session. */
export type EngineMethods = {
  readonly describe: () => EngineInfo;
  readonly run: (feeds: Packed, call: ServedCall) => Promise<Packed>;
};

const PROVIDERS: Readonly<Record<Device, string>> = {
  cpu: "cpu",
  cuda: "cuda",
  webgpu: "webgpu",
  coreml: "coreml",
  directml: "dml",
};

/** How onnxruntime-web writes a size that is not fixed. */
const ANY_SIZE = 2 ** 32 - 1;

async function methodsOf(task: EngineTask, onClose: (release: () => unknown) => void): Promise<EngineMethods> {
  const runtime = await runtimeOf(task.module);
  const bytes = await checkedBytes(task);
  const session = await sessionOf(runtime, bytes, task);
  onClose(() => session.release());
  const info: EngineInfo = {
    inputs: session.inputMetadata.map(infoOf),
    outputs: session.outputMetadata.map(infoOf),
    bytes: bytes.byteLength,
  };
  return {
    describe: () => info,
    async run(feeds: Packed, call: ServedCall): Promise<Packed> {
      const given: Record<string, RuntimeTensor> = {};
      for (const [name, { type, data, shape }] of Object.entries(unpacked(feeds, info.inputs)))
        given[name] = new runtime.Tensor(type, data, shape);
      const results = await session.run(given);
      const own: Record<string, Tensor> = {};
      for (const [name, tensor] of Object.entries(results)) own[name] = resultOf(name, tensor, call);
      return packed(own, info.outputs);
    },
  };
}

function resultOf(name: string, { type, dims, data }: RuntimeTensor, call: ServedCall): Tensor {
  if (!isTensorType(type))
    throw new StewardError("MODEL_INVALID_FILE", `output "${name}" is ${type}, which is not supported`);
  if (isText(data)) return { type, shape: [...dims], data: [...data] };
  const isSmall = data.byteLength < MOVED_BYTES && data.byteLength === data.buffer.byteLength; // else a copy takes more along
  const own = isSmall ? data : data.slice(); // memory of the engine does not move to another thread
  if (!isSmall) call.transfer(own.buffer as ArrayBuffer); // a slice has a buffer of its own
  return { type, shape: [...dims], data: own };
}

function infoOf({ name, type, shape }: TensorInfo): TensorInfo {
  return { name, type, shape: shape.map((size) => (size === ANY_SIZE || size === -1 ? "" : size)) };
}

const WASM = "onnxruntime-web";

async function runtimeOf(module: string): Promise<Runtime> {
  try {
    return (await import(module)) as Runtime; // one of the two packages, or what the caller names
  } catch (cause) {
    throw new StewardError("MODEL_ENGINE_MISSING", isMissing(module, cause) ? absent(module) : broken(module, cause), {
      cause,
    });
  }
}

function absent(module: string): string {
  const command =
    module === WASM ? `npm install ${WASM}` : "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node";
  return `${module} is not installed: ${command}`;
}

/** The package is there, and has no binary that this machine can load. */
function broken(module: string, cause: unknown): string {
  const [first] = String(cause).split("\n"); // below it stand the files that asked for it
  const way = module === WASM ? "" : `; an engine that needs no binary: npm install ${WASM}, and engine: "${WASM}"`;
  return `${module} does not load on ${process.platform}-${process.arch}: ${first}${way}`;
}

/** Whether it is the package itself that is not there, and not a part of it. */
function isMissing(module: string, error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") &&
    error.message.includes(`'${module}'`)
  );
}

async function checkedBytes({ source, sha256 }: EngineTask): Promise<Uint8Array> {
  const bytes =
    typeof source === "string" ? await readFile(source).catch((cause: unknown) => unreadable(source, cause)) : source;
  if (sha256 === undefined) return bytes;
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found === sha256.toLowerCase()) return bytes;
  throw new StewardError(
    "MODEL_CHECKSUM",
    `the file has the sha256 ${found}, and not ${sha256}: it is another one, or cut short`,
  );
}

function unreadable(path: string, cause: unknown): never {
  throw new StewardError("MODEL_UNKNOWN", `${path} cannot be read: ${String(cause)}`, { cause });
}

async function sessionOf(
  runtime: Runtime,
  bytes: Uint8Array,
  { device, threads, module }: EngineTask,
): Promise<Session> {
  const isWeb = module.includes("onnxruntime-web");
  const options = {
    executionProviders: [isWeb && device === "cpu" ? "wasm" : PROVIDERS[device]],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 4,
    // Threads that spin burn a third of a core for 100 ms behind each run.
    extra: { session: { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } } },
  };
  try {
    return await runtime.InferenceSession.create(bytes, options);
  } catch (cause) {
    const code = device === "cpu" ? "MODEL_INVALID_FILE" : "MODEL_DEVICE_UNAVAILABLE";
    throw new StewardError(code, `${device}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

serveWorker((task: EngineTask, { onClose }) => methodsOf(task, onClose));

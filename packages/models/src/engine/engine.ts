import type { TensorInfo, Tensors } from "./tensor.ts";

/** A device that models run on. */
export type Device = "cpu" | "cuda" | "webgpu" | "coreml" | "directml";

/** What an engine loads. */
export interface EngineTask {
  /** Module of the engine: a name that can be imported from here, or a URL. */
  readonly module: string;
  /** Path of the file, or its bytes. */
  readonly source: string | Uint8Array;
  /** Hex of the SHA-256 that the file must have. */
  readonly sha256: string | undefined;
  readonly device: Device;
  readonly threads: number;
}

/** What a loaded model says of itself. */
export interface EngineInfo {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Size of the file. */
  readonly bytes: number;
}

/** One loaded model that runs somewhere. */
export interface Engine {
  readonly info: EngineInfo;
  /** Runs once; what it is given may be moved away. */
  run(feeds: Tensors): Promise<Tensors>;
  /** Settles when it has ended unasked or closed. */
  readonly ended: Promise<unknown>;
  close(timeoutMs: number): Promise<void>;
  /** Ends it now, where it can be cut off. */
  kill(): void;
}

/** A model of your own in JavaScript, in the place of a file and an engine: for tests, rules and fallbacks. */
export interface Compute {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  run(feeds: Tensors): Tensors | Promise<Tensors>;
}

/** An engine that calls a function of yours, in this thread. */
export function computeEngine(compute: Compute): Engine {
  let end: (reason: unknown) => void = () => {};
  const ended = new Promise<unknown>((resolve) => (end = resolve));
  return {
    info: { inputs: compute.inputs, outputs: compute.outputs, bytes: 0 },
    run: async (feeds) => compute.run(feeds),
    ended,
    close: async () => end("closed"),
    kill: () => end("closed"),
  };
}

import { parentPort } from "node:worker_threads";
import { primitiveOf } from "../catalog.ts";
import { nativeEngine } from "../engines/native.ts";
import { atOnce } from "../turns.ts";
import type { WorkerAnswer, WorkerTask } from "./pool.ts";

// No other work waits here for a turn; OpenSSL takes at most 2 GiB at once.
const engine = { ...nativeEngine, wholeBytes: 2 ** 30, sliceBytes: 2 ** 28 };

/** Seals or opens one message; `undefined` when it does not authenticate. */
function work({ operation, algorithm, key, header, input, aad }: WorkerTask): Uint8Array | undefined {
  const primitive = primitiveOf(engine, algorithm, key);
  if (primitive.purpose !== "aead" && primitive.purpose !== "stream") return undefined;
  if (operation === "seal") return atOnce(primitive.aead.seal(header, input, aad));
  try {
    return atOnce(primitive.aead.open(input, header.length, aad));
  } catch {
    return undefined;
  }
}

parentPort?.on("message", (task: WorkerTask & { readonly id: number }) => {
  const output = work(task);
  const answer: WorkerAnswer = { id: task.id, output };
  const movable =
    output !== undefined && output.buffer instanceof ArrayBuffer && output.byteLength === output.buffer.byteLength;
  parentPort?.postMessage(answer, movable ? [output.buffer as ArrayBuffer] : []); // checked one line above
});

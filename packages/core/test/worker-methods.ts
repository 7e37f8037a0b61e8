import { parentPort } from "node:worker_threads";
import { StewardError } from "../src/index.ts";
import { serveWorker, type ServedCall } from "../src/worker/index.ts";

export interface Data {
  readonly shared?: Int32Array;
  readonly start?: "fail" | "exit" | "hang";
}

function methods(shared: Int32Array | undefined) {
  return {
    square: ({ n }: { readonly n: number }) => n * n,
    env: () => process.env["STEWARD_TEST"],
    pid: () => process.pid,
    async wait(_: undefined, { signal }: ServedCall): Promise<string> {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      if (shared !== undefined) {
        Atomics.store(shared, 1, 7);
        Atomics.notify(shared, 1);
      }
      return "aborted";
    },
    /** Notes that it works, then blocks its thread. */
    block(ms: number): string {
      if (shared !== undefined) {
        Atomics.store(shared, 0, 1);
        Atomics.notify(shared, 0);
      }
      const lock = new Int32Array(new SharedArrayBuffer(4));
      Atomics.wait(lock, 0, 0, ms);
      if (shared !== undefined) Atomics.store(shared, 0, 2);
      return "blocked";
    },
    bytes(size: number, call: ServedCall): Uint8Array {
      const bytes = new Uint8Array(size).fill(1);
      call.transfer(bytes.buffer);
      return bytes;
    },
    length: (bytes: Uint8Array) => bytes.byteLength,
    fail(kind: string): never {
      const cause = Object.assign(new RangeError("inner"), { code: "E_INNER" });
      if (kind === "ours")
        throw new StewardError("OVERLOADED", "full", {
          resource: "r",
          retryable: true,
          retryAfterMs: 5,
          publicMessage: "later",
          cause,
        });
      if (kind === "text") throw "text"; // eslint-disable-line no-throw-literal
      throw cause;
    },
    /** Posts something that is not ours, as a library in a module may do. */
    post(message: unknown): void {
      if (parentPort === null) process.send?.(message);
      else parentPort.postMessage(message, []);
    },
    unsendable: () => () => {},
    /** Sends what is none of our messages, as a library may that knows the channel of its process. */
    chatter(): void {
      for (const message of [null, "ready", 5, {}]) process.send?.(message as string);
    },
    /** Moves memory that has moved already. */
    movedTwice(_: undefined, call: ServedCall): Uint8Array {
      const bytes = new Uint8Array(5);
      structuredClone(bytes, { transfer: [bytes.buffer] });
      call.transfer(bytes.buffer);
      return bytes;
    },
    exit: (code: number): never => process.exit(code),
  };
}

export type Methods = ReturnType<typeof methods>;

serveWorker(async ({ shared, start }: Data, worker) => {
  if (start === "fail") throw new StewardError("OPTIONS_INVALID", "no such file");
  if (start === "exit") process.exit(3);
  if (start === "hang") await new Promise(() => setInterval(() => {}, 1_000));
  worker.onClose(() => {
    if (shared === undefined) return;
    Atomics.store(shared, 2, 9);
  });
  return methods(shared);
});

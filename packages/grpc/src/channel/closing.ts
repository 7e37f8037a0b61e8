import { Readable, Writable } from "node:stream";
import type { CallInvocationTransformer } from "@grpc/grpc-js";

type Call = Parameters<CallInvocationTransformer>[0]["call"];

/**
 * Cancels the call of a stream that its caller closes before the end: by leaving a loop over it, or by `destroy`. Of
 * grpc-js alone such a call goes on for ever.
 */
export function cancelWhenClosed(call: Call): void {
  if (!(call instanceof Readable || call instanceof Writable)) return; // one message each way
  let isOver = false;
  call.once("status", () => (isOver = true));
  call.once("close", () => {
    // One that only writes is closed once all was sent, and its answer comes later.
    if (isOver || (!(call instanceof Readable) && call.writableFinished)) return;
    call.on("error", () => {}); // a cancelled call is one that failed, and no one may listen any more
    call.cancel();
  });
}

import { received } from "../src/protocol/body.ts";

/** In a worker with little memory: reads a body that comes byte by byte. */
const PARTS = 250_000;
let left = PARTS;
const body = new ReadableStream<Uint8Array>({
  pull(controller) {
    if (left-- > 2) controller.enqueue(Uint8Array.of(0x20));
    else {
      controller.enqueue(Uint8Array.of(0x7b, 0x7d));
      controller.close();
    }
  },
});
await received(body, null, PARTS);

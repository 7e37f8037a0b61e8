import { once } from "node:events";
import { connect, constants } from "node:http2";
import { growthOf, sleep } from "@steward/testing";
import t from "tap";
import { testGrpcServer } from "../../src/testing.ts";
import { renderer } from "../renderer.ts";

const headers = (method: string, more: Record<string, string> = {}): Record<string, string> => ({
  ":method": "POST",
  ":path": `/clips.v1.Renderer/${method}`,
  "content-type": "application/grpc",
  te: "trailers",
  ...more,
});

/** One message of gRPC. */
function message(bytes: number): Buffer {
  const framed = Buffer.alloc(5 + bytes);
  framed.writeUInt32BE(bytes, 1);
  return framed;
}

t.test("one connection that opens, resets, stuffs and forgets streams leaves nothing behind", async (t) => {
  await using server = await testGrpcServer({
    services: [renderer()],
    maxStreamsPerConnection: 100,
    maxReceiveBytes: 65_536,
  }).start();
  const { before, after, ratio } = await growthOf(async (ms) => {
    const end = performance.now() + ms;
    while (performance.now() < end) {
      const session = connect(`http://${server.client.address}`).on("error", () => {});
      await once(session, "connect").catch(() => {});
      for (let i = 0; i < 300 && !session.closed && !session.destroyed; i++) {
        const method = ["Talk", "Upload", "Render", "Nowhere"][i % 4] ?? "";
        const stream = session.request(headers(method, { [`x-${i}`]: "v".repeat(i) })).on("error", () => {});
        stream.write(message(i % 5 === 0 ? 200_000 : 100));
        if (i % 2 === 0) stream.close(constants.NGHTTP2_CANCEL);
        if (i % 50 === 0) await sleep(1);
      }
      session.destroy();
      await sleep(5);
    }
  });
  t.ok(ratio < 1.05, `${before.bytes} bytes before, ${after.bytes} after`);
  t.ok(after.descriptors <= before.descriptors, `${before.descriptors} descriptors before, ${after.descriptors} after`);
  t.match(server.stats(), { inUse: 0, pending: 0 });
});

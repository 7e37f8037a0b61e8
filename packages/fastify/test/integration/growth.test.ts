import { connect, type Socket } from "node:net";
import { growthOf, sleep } from "@steward/testing";
import { fastify } from "fastify";
import t from "tap";
import { container } from "@steward/container";
import { from, handler, refusals, steward } from "../../src/index.ts";

const HEADS = [
  "GET / HTTP/1.1\r\nHost: a\r\nX: ",
  'POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{"a":"',
  'POST /file HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n\r\n--x\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n',
  "GARBAGE\r\n\r\n",
];

t.test("uploads that stop, heads that never end and garbage keep nothing", async (t) => {
  const app = fastify({
    ...refusals(),
    requestTimeout: 400,
    http: { connectionsCheckingInterval: 50, headersTimeout: 300 },
  });
  await app.register(steward, {
    container: container([]),
    accessLog: false,
    health: false,
    forms: { maxFileBytes: 100_000 },
  });
  app.post(
    "/file",
    handler({ f: from.file("f") }, ({ f }) => f.content.length),
  );
  app.post(
    "/json",
    handler({ b: from.body("b", { type: "object" }) }, () => "ok"),
  );
  t.teardown(() => app.close());
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as { port: number };
  const open = (): Promise<number> =>
    new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)));
  const { before, after, ratio } = await growthOf(async (ms) => {
    const end = performance.now() + ms;
    const sockets = new Set<Socket>();
    for (let i = 0; performance.now() < end; i++) {
      if (sockets.size < 200) {
        const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
        sockets.add(socket.once("close", () => sockets.delete(socket)));
        socket.write(HEADS[i % HEADS.length] ?? "");
      }
      for (const socket of sockets) if (socket.writableLength < 100_000) socket.write("x".repeat(5_000));
      await sleep(2);
    }
    // They stay; only the server ends them.
    const patience = performance.now() + 30_000;
    while ((await open()) > 0 && performance.now() < patience) await sleep(20);
    t.equal(await open(), 0, "the server has let go of all");
    for (const socket of sockets) socket.destroy();
  });
  t.ok(ratio < 1.05, `${before.bytes} bytes before, ${after.bytes} after`);
  t.ok(after.descriptors <= before.descriptors, `${before.descriptors} descriptors before, ${after.descriptors} after`);
});

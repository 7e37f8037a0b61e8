import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { FakeClock, failure, until } from "@steward/testing";
import t from "tap";
import { askDirectly } from "../src/pool/direct.ts";

t.test("a question whose connection breaks leaves no timer behind", async (t) => {
  const server = createServer((socket) => socket.once("data", () => socket.destroy())).listen(0, "127.0.0.1");
  t.teardown(() => server.close());
  await once(server, "listening");
  const clock = new FakeClock();
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const config = { host: "127.0.0.1", port, user: "x", database: "x" };
  await failure(askDirectly(config, { clock, timeoutMs: 5_000 }, "select 1"));
  await until(() => clock.pending === 0, "no timer is set");
});

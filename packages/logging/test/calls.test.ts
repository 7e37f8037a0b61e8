import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Guard, systemClock } from "@steward/core";
import t from "tap";
import { LoggerManager } from "../src/index.ts";
import { memoryLog } from "../src/testing.ts";

const server = createServer((request, response) => {
  if (request.url === "/reset") return void request.socket.destroy();
  response.statusCode = request.url?.startsWith("/missing") === true ? 404 : 200;
  response.end("ok");
}).listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
t.teardown(() => {
  server.close();
  server.closeAllConnections();
});

const get = async (path: string): Promise<void> => void (await (await fetch(origin + path)).text());

t.test("each call to another service is a line with method, URL without query, status and time", async (t) => {
  const destination = memoryLog();
  const manager = await new LoggerManager({ destination, listen: [], calls: {} }).start();
  await get("/found?token=pl4nted-k9&page=2");
  await get("/missing");
  await get("/reset").catch(() => {});
  await manager.stop();
  await get("/after");
  t.match(destination.lines, [
    { level: 30, event: "call", method: "GET", url: `${origin}/found`, status: 200, durationMs: /^\d+(\.\d)?$/ },
    {
      level: 40,
      event: "call",
      method: "GET",
      url: `${origin}/missing`,
      status: 404,
      msg: `GET ${origin}/missing: 404`,
    },
    { level: 40, event: "call", method: "GET", url: `${origin}/reset`, err: { code: "UND_ERR_SOCKET" } },
  ]);
  t.equal(destination.lines.length, 3);
  t.notOk(destination.text.includes("pl4nted"));
});

t.test("so is each call of a guarded resource that names what it calls", async (t) => {
  const destination = memoryLog();
  await using _manager = await new LoggerManager({ destination, listen: [], calls: {} }).start();
  const guard = new Guard({ resource: "db", clock: systemClock });
  await guard.run(() => 1, { operation: "SELECT" });
  await guard.run(() => Promise.reject(new Error("gone")), { operation: () => "UPDATE" }).catch(() => {});
  await guard.run(() => 1);
  t.match(destination.lines, [
    { level: 30, event: "call", resource: "db", operation: "SELECT", durationMs: Number, msg: "db SELECT: done" },
    { level: 40, event: "call", resource: "db", operation: "UPDATE", err: { message: "gone" } },
  ]);
  t.equal(destination.lines.length, 2);
});

t.test("of calls that end well a share can have lines; of those that fail all do", async (t) => {
  const destination = memoryLog();
  await using _manager = await new LoggerManager({ destination, listen: [], calls: { share: 0 } }).start();
  for (let i = 0; i < 5; i++) await get("/found");
  await get("/missing");
  t.same(
    destination.lines.map(({ status }) => status),
    [404],
  );
});

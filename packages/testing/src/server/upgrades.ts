import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { open, write, type Ask } from "./client.ts";
import type { ServerCase, Up, World } from "./world.ts";

/** What curl's `--http2` sends, and Java's HttpClient. */
const H2C = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQCAAAAAAIAAAAA" };
const WEBSOCKET = { connection: "Upgrade", upgrade: "WebSocket" };
const BODY = { "content-type": "application/json" };

/** A server with plain routes, and somebody who takes upgrades. */
async function withUpgrades(world: World): Promise<{ readonly up: Up; readonly taken: readonly string[] }> {
  const { from } = world.adapter;
  const needs = { body: from.body("body", {}) };
  const up = await world.up([
    { method: "GET", path: "/here", needs: {}, answer: () => "here" },
    { method: "POST", path: "/echo", needs, answer: ({ body }: { readonly body: unknown }) => ({ body }) },
  ]);
  const taken: string[] = [];
  up.server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
    taken.push(request.url ?? "");
    socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\n");
  });
  return { up, taken };
}

type Request = readonly [path: string, ask: Ask];

/** Sends requests over one connection, those of a group in one packet, and gives what all are answered with. */
async function over(up: Up, ...groups: readonly (readonly Request[])[]): Promise<string> {
  const socket = await open(up.port);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  const closed = once(socket, "close");
  const answers = (): string[] => text.split(/(?=HTTP\/1\.1 \d)/);
  let sent = 0;
  for (const group of groups) {
    socket.cork();
    for (const [path, ask] of group) write(socket, path, ask);
    socket.uncork();
    sent += group.length;
    while (text.split("HTTP/1.1 ").length <= sent && !socket.destroyed)
      await Promise.race([once(socket, "data"), closed]);
  }
  await closed;
  return answers()
    .map((answer) => `${answer.slice(9, 12)} ${answer.slice(answer.indexOf("\r\n\r\n") + 4).trim()}`)
    .join("; ");
}

/** What becomes of requests that ask for another protocol. */
export const upgradeCases: readonly ServerCase[] = [
  {
    name: "answers what asks for h2c like any request although WebSockets are taken, with a body, kept alive and pipelined",
    async run(world) {
      const { up, taken } = await withUpgrades(world);
      const created = world.adapter.nature?.created ?? 200;
      const get: Ask = { headers: H2C };
      const post = (headers: Ask["headers"]): Ask => ({
        method: "POST",
        headers: { ...BODY, ...headers },
        body: "[1]",
      });
      const last: Ask = { headers: { connection: "close" } };
      const [here, echo] = ["200 here", `${created} {"body":[1]}`];
      const { assert } = world;
      const closing = { ...H2C, connection: `close, ${H2C.connection}` };
      assert.strictEqual(await over(up, [["/here", { headers: closing }]]), here);
      assert.strictEqual(await over(up, [["/echo", post(closing)]]), echo);
      assert.strictEqual((await over(up, [["/nowhere", { headers: closing }]])).slice(0, 3), "404");
      // What comes in one packet with such a request, behind it, is lost in Node itself, in all versions to 26.
      const plain: Request = ["/here", {}];
      const other: Request = ["/echo", post({})];
      assert.strictEqual(
        await over(
          up,
          [["/here", get]],
          [plain, other, ["/echo", post(H2C)]],
          [plain, ["/here", get]],
          [["/here", last]],
        ),
        [here, here, echo, echo, here, here, here].join("; "),
      );
      assert.strictEqual(taken.join(), "", "no one was asked to take them");
      await up.idle();
    },
  },
  {
    name: "hands what asks for a WebSocket on to the listener of upgrades, h2c beside it or not",
    async run(world) {
      const { up, taken } = await withUpgrades(world);
      for (const upgrade of ["WebSocket", "h2c, websocket"])
        world.assert.strictEqual(await over(up, [["/ws", { headers: { ...WEBSOCKET, upgrade } }]]), "101 ");
      world.assert.strictEqual(taken.join(), "/ws,/ws");
    },
  },
];

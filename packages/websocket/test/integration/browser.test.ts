import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { noBrowser as skip, TestBrowser } from "@steward/harness/browser";
import t from "tap";
import { WebSocketHubManager } from "../../src/hub/index.ts";

/** What a page brings along: a client of fifteen lines for the frames of a hub, which comes back when it is sent away. */
const PAGE = `<!doctype html><title>test</title><script>
class Client {
  frames = []; codes = []; replies = new Map(); wakers = new Set(); lastId = 0; opened = 0;
  constructor(url) { this.url = url; this.connect(); }
  connect() {
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => { this.opened++; this.wake(); };
    this.socket.onmessage = ({ data }) => { this.frames.push(JSON.parse(data)); this.wake(); };
    this.socket.onclose = ({ code }) => { this.codes.push(code); this.wake(); if (code === 1001) setTimeout(() => this.connect(), 20 + Math.random() * 50); else if (this.opened > 0) setTimeout(() => this.connect(), 50); };
  }
  wake() { for (const waker of [...this.wakers]) waker(); }
  until(done) { return new Promise((resolve) => { const look = () => { const found = done(); if (found) { this.wakers.delete(look); resolve(found); } }; this.wakers.add(look); look(); }); }
  ask(request) { const id = ++this.lastId; this.socket.send(JSON.stringify({ id, ...request })); return this.until(() => this.frames.find((frame) => frame.id === id && !frame.ack && !frame.data)); }
}
</script>`;

async function page(t: { teardown(end: () => unknown): unknown }): Promise<{ server: Server; url: string }> {
  const server = createServer((_request, response) => response.setHeader("content-type", "text/html").end(PAGE));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }; // it listens on a port
}

t.test("the WebSocket of a browser talks to a hub, and comes back after a drain", { skip }, async (t) => {
  await using browser = await TestBrowser.start();
  const { server, url } = await page(t);
  const hub = new WebSocketHubManager({
    server,
    path: "/ws",
    drainSpreadMs: 100,
    authorize: (room) => room === "news",
    call: (body, { ack }) => (ack(), { echo: body }),
  });
  await hub.start();
  t.teardown(() => hub.stop());
  const visit = await browser.open(url);
  const run = (expression: string): Promise<unknown> => visit.evaluate(expression);
  await run(
    `globalThis.client = new Client("${url.replace("http", "ws")}ws"); client.until(() => client.opened === 1)`,
  );

  t.same(await run(`client.ask({ call: "schön" })`), { id: 1, ok: { echo: "schön" } });
  t.ok(await run(`client.frames.some(({ id, ack }) => id === 1 && ack === true)`), "it was told that it is worked on");
  t.match(await run(`client.ask({ join: "secrets" })`), { id: 2, error: { code: "WEBSOCKET_REFUSED" } });
  t.match(await run(`client.ask({ join: "news" })`), { id: 3, ok: { gap: false } });
  await hub.client.publish("news", { n: 1 });
  const first = await run(`client.until(() => client.frames.find(({ room }) => room === "news"))`);
  t.match(first, { room: "news", data: { n: 1 } });

  await hub.drain();
  t.equal(await run(`client.until(() => client.codes[0])`), 1001);
  await hub.stop();
  await hub.start();
  await run(`client.until(() => client.opened === 2)`);
  const id = String((first as { id: string }).id); // the frame above
  const [origin = "", number = ""] = id.split("-");
  t.match(
    await run(`client.ask({ join: "news", after: { ${JSON.stringify(origin)}: ${number} } })`),
    { id: 4, ok: { gap: true } },
    "the hub that began anew cannot know what came in between",
  );
  await hub.client.publish("news", { n: 2 });
  t.match(await run(`client.until(() => client.frames.find(({ data }) => data?.n === 2))`), { room: "news" });
});

t.test("a page of another origin is not let in by a browser's WebSocket, unless it is listed", { skip }, async (t) => {
  await using browser = await TestBrowser.start();
  const own = await page(t);
  const other = await page(t);
  const refused: unknown[] = [];
  const hubAt = async (path: string, origins?: string[]): Promise<void> => {
    const hub = await new WebSocketHubManager({ server: own.server, path, origins, call: (body) => body }).start();
    hub.client.on("refused", (status, { headers }) => refused.push([status, headers.origin]));
    t.teardown(() => hub.stop());
  };
  await hubAt("/own");
  await hubAt("/listed", [new URL(other.url).origin]);
  const visit = await browser.open(other.url);
  const run = (expression: string): Promise<unknown> => visit.evaluate(expression);
  const at = own.url.replace("http", "ws");
  t.equal(await run(`globalThis.refused = new Client("${at}own"); refused.until(() => refused.codes[0])`), 1006);
  t.same(refused, [[403, new URL(other.url).origin]]);
  await run(`globalThis.client = new Client("${at}listed"); client.until(() => client.opened === 1)`);
  t.match(await run(`client.ask({ call: 1 })`), { ok: 1 });
});

import { createServer, get, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { channel } from "node:diagnostics_channel";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { container, serveManagement, type RunningContainer } from "@steward/container";
import { CHANNELS, guarded, resource } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { until } from "@steward/testing";
import t, { type Test } from "tap";
import {
  dashboard,
  dnsPeers,
  type Dashboard,
  type DashboardOptions,
  type DashboardSource,
  type DashboardView,
} from "../src/index.ts";
import { EventReader } from "../src/replicas/event-reader.ts";
import { Viewer } from "./setup.ts";

const TOKEN = "h4nd-m4de-t0ken-0";
const BEARER = { authorization: `Bearer ${TOKEN}` };

const store = resource("store", {
  guard: { maxConcurrent: 4 },
  start: () => ({ read: async (fails: boolean) => (fails ? Promise.reject(new Error("no")) : 1) }),
});
const app = resource("app", { needs: { store }, start: () => ({}) });

const GOOD = { status: "healthy", phase: "ready", version: undefined, uptimeMs: 1, reason: undefined } as const;

interface Served {
  readonly board: Dashboard;
  readonly running: RunningContainer;
  readonly clock: FakeClock;
  readonly url: string;
}

/** A real container behind a real listener; time stands still but for the container's own start. */
async function served(t: Test, options: DashboardOptions = {}): Promise<Served> {
  const clock = new FakeClock();
  const board = dashboard({ token: TOKEN, clock, ...options });
  const running = await container([app], { name: "clips" }).start();
  const management = await serveManagement(running, { routes: { "/steward/": board } });
  t.teardown(async () => {
    board.close();
    await management.stop();
    await running.stop();
  });
  return { board, running, clock, url: `${management.url}/steward/` };
}

async function ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<IncomingMessage> {
  const [response] = (await once(get(url, { headers, agent: false }), "response")) as [IncomingMessage];
  response.resume();
  return response;
}

async function viewAt(url: string): Promise<DashboardView> {
  return (await (await fetch(`${url}view`, { headers: BEARER })).json()) as DashboardView; // that is what it serves
}

t.test("a view says how the container and each resource are", async (t) => {
  const { board, url } = await served(t);
  const view = await viewAt(url);
  t.match(view, { schema: 1, container: "clips", phase: "ready", status: "healthy" });
  t.match(view.nodes, [
    { name: "store", status: "healthy", phase: "ready", needs: [], criticality: "critical" },
    { name: "app", status: "healthy", phase: "ready", needs: [{ name: "store", key: "store", kind: "plain" }] },
  ]);
  t.match(
    view.journal.filter(({ resource }) => resource === "store").map(({ from, to }) => `${from} ${to}`),
    ["idle starting", "starting ready"],
    "what happened before anyone looked",
  );
  t.same(view.process, undefined, "nothing of it is read while no one watches");
  t.equal(board.view().nodes.length, 2);
});

t.test("a viewer gets a view, deltas of what changed, and lines of the journal at once", async (t) => {
  const { running, clock, url } = await served(t);
  await using viewer = await Viewer.open(`${url}events`, BEARER);
  t.match(viewer.response.headers, { "content-type": /event-stream/, "cache-control": "no-store" });
  const view = await viewer.next("view");
  await clock.advance(250);
  await viewer.next("delta", ({ nodes }) => Array.isArray(nodes) && nodes.length === 2);

  const own = running.get(store);
  for (let i = 0; i < 20; i++) await guarded(own, () => own.read(i % 4 === 0)).catch(() => {});
  for (let i = 0; i < 4; i++) await clock.advance(250);
  const { data } = await viewer.next("delta", ({ process }) => process !== undefined);
  t.match(
    data["nodes"],
    [{ name: "store", rate: 20, errorRate: 5, p95: Number }],
    "of the last second, and only what changed",
  );
  t.match(data["process"], { pid: process.pid, heapUsedBytes: Number });

  await running.restart(store);
  const line = await viewer.next("journal", ({ kind }) => kind === "restart");
  t.match(line.data, { resource: "store", to: "began", count: 1 });
  t.not(line.id, view.id);

  const detail = (await (await fetch(`${url}resource?name=store`, { headers: BEARER })).json()) as object; // an object
  t.match(detail, {
    name: "store",
    latency: { count: 20, failed: 5 },
    errors: [{ code: "Error", count: 5, message: "no" }],
  });
  t.equal((await ask(`${url}resource?name=toString`, BEARER)).statusCode, 404);
});

t.test("whoever comes back gets the lines that were missed, and everything where they are gone", async (t) => {
  const { running, url } = await served(t, { journalSize: 4 });
  const first = await Viewer.open(`${url}events`, BEARER);
  const { id, data } = await first.next("view");
  await first[Symbol.asyncDispose]();
  await running.renew(store);
  const restarted = async (): Promise<unknown[]> => {
    await using viewer = await Viewer.open(`${url}events`, { ...BEARER, "last-event-id": id });
    return (await viewer.next("view")).data["journal"] as unknown[]; // a list
  };
  t.same(await restarted(), [], "nothing was missed");
  channel(CHANNELS.breaker).publish({
    resource: "store",
    subject: "store",
    from: "closed",
    to: "open",
    reason: "5 of 5",
  });
  t.match(await restarted(), [{ kind: "breaker", to: "open", reason: "5 of 5" }]);
  for (let i = 0; i < 20; i++)
    channel(CHANNELS.breaker).publish({
      resource: "store",
      subject: `store ${i}`,
      from: "closed",
      to: "open",
      reason: "",
    });
  t.ok((await restarted()).length >= 4, "all that is left");
  await using other = await Viewer.open(`${url}events`, { ...BEARER, "last-event-id": "another-process:3" });
  t.ok(((await other.next("view")).data["journal"] as unknown[]).length >= 4);
  t.ok(Number(data["sequence"]) > 0);
});

t.test("equal lines in a row are one with a count, and no change is left out", async (t) => {
  const { board } = await served(t);
  const breaker = (from: string, to: string): void =>
    channel(CHANNELS.breaker).publish({ resource: "store", subject: "store", from, to, reason: "slow" });
  for (let i = 0; i < 3; i++) breaker("closed", "open");
  breaker("open", "half-open");
  breaker("closed", "open");
  const lines = board.view().journal.filter(({ kind }) => kind === "breaker");
  t.same(
    lines.map(({ to, count }) => `${to} ${count}`),
    ["open 3", "half-open 1", "open 1"],
  );
});

t.test("nothing listens to calls and no timer runs while no one watches", async (t) => {
  const { board, clock, url } = await served(t);
  const rare = [CHANNELS.state, CHANNELS.health, CHANNELS.breaker, CHANNELS.restart, CHANNELS.shutdown];
  const isHeard = (name: string): boolean => channel(name).hasSubscribers;
  t.same([isHeard(CHANNELS.call), isHeard(CHANNELS.request), clock.pending], [false, false, 0]);
  const viewer = await Viewer.open(`${url}events`, BEARER);
  await viewer.next("view");
  t.same([isHeard(CHANNELS.call), isHeard(CHANNELS.request), clock.pending], [true, true, 1]);
  await viewer[Symbol.asyncDispose]();
  while (board.viewers > 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(9_000);
  t.ok(isHeard(CHANNELS.call), "a page that is loaded anew finds what was counted");
  await clock.advance(2_000);
  t.same([isHeard(CHANNELS.call), isHeard(CHANNELS.request), clock.pending], [false, false, 0]);
  t.ok(rare.every(isHeard));
  board.close();
  t.notOk(rare.some(isHeard), "a closed one hears nothing");
});

t.test("the token is traded for a cookie of its path; without either nothing is read", async (t) => {
  const { board, url } = await served(t);
  for (const name of ["", "view", "events", "main.js", "resource?name=store"]) {
    const refused = await fetch(`${url}${name}`);
    t.equal(refused.status, 401, name);
    t.match(await refused.json(), { code: "DASHBOARD_TOKEN_REQUIRED" });
  }
  t.equal((await ask(`${url}?t=wrong`)).statusCode, 401);
  t.equal((await ask(`${url}view?t=${TOKEN}`)).statusCode, 401, "only the page trades");
  const traded = await ask(board.link(url));
  t.equal(traded.statusCode, 303);
  const [cookie = ""] = traded.headers["set-cookie"] ?? [];
  t.match(cookie, /^steward-\w+=\w+; Path=\/steward\/; HttpOnly; SameSite=Strict$/);
  t.notMatch(cookie, TOKEN);
  const allowed = { cookie: cookie.replace(/;.*/, "") };
  for (const name of ["", "view", "main.js"]) t.equal((await ask(`${url}${name}`, allowed)).statusCode, 200, name);
  const another = dashboard();
  t.teardown(() => another.close());
  t.match(another.link("/steward/"), /^\/steward\/\?t=[\w-]{32}$/, "one is made where none is given");
});

t.test("names that lead here, other origins and other methods are refused", async (t) => {
  const { url } = await served(t);
  const host = new URL(url).host;
  t.equal((await ask(`${url}view`, { ...BEARER, host: "attacker.example" })).statusCode, 421);
  t.equal((await ask(`${url}view`, { ...BEARER, origin: "http://attacker.example" })).statusCode, 403);
  t.equal((await ask(`${url}view`, { ...BEARER, origin: "null" })).statusCode, 403);
  t.equal((await ask(`${url}view`, { ...BEARER, origin: `http://${host}` })).statusCode, 200);
  const posted = await fetch(`${url}view`, { method: "POST", headers: BEARER });
  t.equal(posted.status, 405);

  const board = dashboard({ token: false, hosts: ["Clips.Internal"] });
  t.teardown(() => board.close());
  const { createServer } = await import("node:http");
  const server = createServer((request, response) => void board(request, response, () => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const own = `http://127.0.0.1:${(server.address() as { port: number }).port}/`; // it listens on TCP
  t.equal((await ask(own)).statusCode, 200, "this machine needs no token");
  t.equal((await ask(own, { host: "clips.internal" })).statusCode, 200);
  const refused = await fetch(own, { headers: { origin: "http://attacker.example" } });
  t.match(await refused.json(), { code: "DASHBOARD_ORIGIN_REFUSED" });
  const unknown = await ask(own, { host: "attacker.example" });
  t.equal(unknown.statusCode, 421, "DASHBOARD_HOST_UNKNOWN");
  t.match(
    await (await fetch(`${own}view`)).json(),
    { phase: "idle", status: "unknown", nodes: [] },
    "before the start",
  );
});

t.test("the page is served with a strict policy, zipped, and not sent twice", async (t) => {
  const { url } = await served(t);
  let size = 0;
  const names = await readdir(new URL("../../page/", import.meta.url));
  t.ok(names.length > 10);
  for (const name of ["", ...names]) {
    const response = await ask(`${url}${name}`, { ...BEARER, "accept-encoding": "gzip" });
    t.equal(response.statusCode, 200, name);
    t.match(response.headers["content-security-policy"], /^default-src 'none'; script-src 'self'; style-src 'self';/);
    t.match(response.headers, { "content-encoding": "gzip", "x-content-type-options": "nosniff" });
    size += Number(response.headers["content-length"]);
    const again = await ask(`${url}${name}`, { ...BEARER, "if-none-match": String(response.headers.etag) });
    t.equal(again.statusCode, 304);
  }
  t.ok(size < 60_000, `${size} bytes over the wire`);
  for (const name of ["..%2fpackage.json", "nothing.js", "index.ts"])
    t.equal((await ask(`${url}${name}`, BEARER)).statusCode, 404, name);
});

t.test("a resource that throws, or says what JSON cannot, hides no other and ends nothing", async (t) => {
  let isBad = false;
  const source = (): DashboardSource => ({
    health: () => (isBad ? fail() : { ...GOOD, resources: [] }),
    graph: () => (isBad ? fail() : { nodes: [] }),
    stats: () => (isBad ? fail() : { loop, worse: { toJSON: fail } }),
  });
  const fail = (): never => {
    throw new Error("client is closed");
  };
  const loop: Record<string, unknown> = { size: 5n };
  loop["self"] = loop;
  const clock = new FakeClock();
  const board = dashboard({ token: TOKEN, clock, peers: (() => [5n]) as never });
  t.teardown(() => board.close());
  let find: () => DashboardSource | undefined = () => fail();
  const server = createServer((request, response) => void board(request, response, () => find())).listen(
    0,
    "127.0.0.1",
  );
  await once(server, "listening");
  t.teardown(() => (server.closeAllConnections(), server.close()));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  t.match(await viewAt(url), { phase: "idle", nodes: [] }, "before there is a container");
  find = source;
  t.match(await (await fetch(`${url}resource?name=loop`, { headers: BEARER })).json(), {
    stats: { size: 5, self: "[circular]" },
  });
  const codeAt = async (name: string, method = "GET"): Promise<unknown> =>
    ((await (await fetch(`${url}${name}`, { headers: BEARER, method })).json()) as { readonly code: unknown }).code; // a refusal
  t.equal(await codeAt("resource?name=worse"), "DASHBOARD_FAILED");
  t.equal(await codeAt("resource?name=none"), "DASHBOARD_NOT_FOUND");
  t.equal(await codeAt("none.js"), "DASHBOARD_NOT_FOUND");
  t.equal(await codeAt("view", "POST"), "DASHBOARD_METHOD_REFUSED");
  await using viewer = await Viewer.open(`${url}events`, BEARER);
  await viewer.next("view");
  isBad = true;
  for (let i = 0; i < 8; i++) await clock.advance(250);
  t.match((await viewer.next("replicas")).data, { reason: /gives no list of addresses/ });
  t.match(await viewAt(url), { status: "unknown" });
});

t.test("a closed dashboard stays closed, and viewers that wait on one connection go with it", async (t) => {
  const { board, url } = await served(t);
  const { port } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1");
  socket.write(
    `GET /steward/events HTTP/1.1\r\nhost: localhost\r\nauthorization: ${BEARER.authorization}\r\n\r\n`.repeat(5),
  );
  await until(() => board.viewers === 5, "all watch");
  socket.destroy();
  await until(() => board.viewers === 0, "all have gone");
  board.close();
  const again = await fetch(`${url}events`, { headers: BEARER });
  t.match(await again.json(), { code: "DASHBOARD_CLOSED" });
  t.equal(again.status, 503);
  t.equal(board.viewers, 0);
});

t.test("a reason is as long as a line may be, and a token may hold any character", async (t) => {
  const { board, url } = await served(t, { token: "a&b#c+d%20 e/f=g?h" });
  channel(CHANNELS.health).publish({ resource: "x", from: "healthy", to: "unhealthy", reason: "y".repeat(2_000_000) });
  t.ok(JSON.stringify(board.view().journal).length < 20_000);
  t.equal((await fetch(board.link(url), { redirect: "manual" })).status, 303);
});

t.test("what lets one in at a peer is not shown, and a peer without an end holds nobody up", async (t) => {
  const peers = ["http://user:s3cretpw@127.0.0.1:1/steward/?t=h4nd-m4de-t0ken-0", "nope"];
  const { url, clock } = await served(t, { peers });
  await using viewer = await Viewer.open(`${url}events`, BEARER);
  await clock.advance(250);
  const { data } = await viewer.next("replicas");
  t.match(data["replicas"], [{}, { url: "http://127.0.0.1:1/steward/" }, { url: "an address that is none" }]);
  t.notMatch(JSON.stringify(data), /s3cretpw|h4nd/);
  const events: string[] = [];
  const reader = new EventReader((name, text) => void events.push(`${name} ${text.length}`));
  reader.take(`data: ${"x".repeat(1_000_000)}`);
  for (let i = 0; i < 20_000; i++) reader.take("y");
  reader.take("\n");
  reader.take("\nevent: a\ndata: 1\n\n");
  t.same(events, ["message 1020000", "a 1"]);
  let isTaken = true;
  for (let i = 0; isTaken && i < 100; i++) isTaken = reader.take("z".repeat(100_000));
  t.notOk(isTaken, "what has no end is given up");
});

t.test("the 21st viewer is asked to come again", async (t) => {
  const { url } = await served(t);
  const viewers = await Promise.all(Array.from({ length: 20 }, () => Viewer.open(`${url}events`, BEARER)));
  const refused = await fetch(`${url}events`, { headers: BEARER });
  t.equal(refused.status, 503);
  t.equal(refused.headers.get("retry-after"), "5");
  t.match(await refused.json(), { code: "DASHBOARD_FULL" });
  await Promise.all(viewers.map((viewer) => viewer[Symbol.asyncDispose]()));
});

t.test("a start that fails can be seen while it is tried", async (t) => {
  const bad = resource("bad", { start: () => Promise.reject(new Error("no disk")) });
  const board = dashboard({ token: TOKEN });
  t.teardown(() => board.close());
  await t.rejects(container([resource("top", { needs: { store, bad }, start: () => 1 })]).start());
  const lines = board.view().journal.filter(({ resource, to }) => resource === "bad" && to === "failed");
  t.match(lines, [{ kind: "state", reason: "no disk" }]);
  t.ok(
    board.view().journal.some(({ resource, to }) => resource === "store" && to === "stopped"),
    "what was rolled back",
  );
});

t.test("requests that are being answered are shown by age, without their queries", async (t) => {
  const { clock, url } = await served(t);
  await using viewer = await Viewer.open(`${url}events`, BEARER);
  const requests = channel(CHANNELS.request);
  const came = Array.from({ length: 30 }, (_, i) => ({
    requestId: `r${i}`,
    method: "GET",
    url: `/videos/${i}?key=hush`,
    end: undefined as unknown,
  }));
  for (const event of came) requests.publish(event);
  for (const event of came.slice(0, 3)) requests.publish(Object.assign(event, { end: { status: 200 } }));
  for (let i = 0; i < 4; i++) await clock.advance(250);
  const { data } = await viewer.next("delta", (delta) => delta["requests"] !== undefined);
  t.match(data["requests"], { open: 27, oldest: [{ id: "r3", method: "GET", path: "/videos/3" }] });
  t.equal((data["requests"] as { oldest: unknown[] }).oldest.length, 20);
  t.notMatch(JSON.stringify(data), /hush/);
});

interface Replica {
  readonly url?: string;
  readonly state: string;
  readonly reason?: string;
  readonly status?: string;
  readonly instance?: string;
  readonly nodes: readonly object[];
}

t.test("replicas are shown side by side, and one that is silent is unknown, not as it was last", async (t) => {
  const [first, second] = [await served(t), await served(t)];
  const nowhere = "http://127.0.0.1:1/";
  const own: string[] = [];
  const { board, clock, url } = await served(t, {
    peers: () => [first.url, second.url, nowhere, "nonsense", ...own],
  });
  own.push(url);
  t.equal(board.viewers, 0);
  const viewer = await Viewer.open(`${url}events`, BEARER);
  const replicasOnce = async (
    accepts: (found: readonly Replica[]) => boolean,
    ...alive: FakeClock[]
  ): Promise<readonly Replica[]> => {
    for (;;) {
      for (const one of [clock, ...alive]) await one.advance(1_000);
      const { data } = await viewer.next("replicas");
      const found = data["replicas"] as readonly Replica[]; // what it sends
      if (accepts(found)) return found;
    }
  };
  const at = (found: readonly Replica[], peer: string): Replica | undefined => found.find((one) => one.url === peer);
  const isLive = (found: readonly Replica[], peer: string): boolean => at(found, peer)?.state === "live";
  const all = await replicasOnce(
    (found) => isLive(found, first.url) && isLive(found, second.url),
    first.clock,
    second.clock,
  );
  t.match(all[0], { state: "live", status: "healthy", nodes: [{ name: "store", status: "healthy" }, { name: "app" }] });
  t.match(at(all, first.url), {
    status: "healthy",
    phase: "ready",
    container: "clips",
    nodes: [{ name: "store" }, {}],
  });
  t.match(at(all, nowhere), { state: "unknown", reason: /ECONNREFUSED/, nodes: [] });
  t.match(at(all, "an address that is none"), { state: "unknown", reason: /Invalid URL/ });

  const later = await replicasOnce((found) => !isLive(found, second.url), first.clock);
  t.match(at(later, second.url), { state: "unknown", reason: /^silent for [5-9] s$/, nodes: [] });
  t.equal(at(later, second.url)?.status, undefined);
  t.ok(isLive(later, first.url));
  t.equal(
    later.filter(({ instance }) => instance === later[0]?.instance).length,
    1,
    "itself once, though it is a peer too",
  );
  t.ok(isLive(await replicasOnce((found) => isLive(found, second.url), first.clock, second.clock), second.url));

  await viewer[Symbol.asyncDispose]();
  while (board.viewers > 0) await new Promise((resolve) => setImmediate(resolve));
  while (channel(CHANNELS.call).hasSubscribers) {
    for (const one of [clock, first.clock, second.clock]) await one.advance(11_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.same([clock.pending, first.clock.pending, second.clock.pending], [0, 0, 0], "none goes on watching another");
});

t.test("addresses of a name are found as peers", async (t) => {
  const found = await dnsPeers("localhost:9464", "/board/")();
  t.ok(found.length > 0);
  for (const url of found) t.match(url, /^http:\/\/(127\.0\.0\.1|\[::1\]):9464\/board\/$/);
});

interface StartFound {
  readonly total: number;
  readonly path: readonly string[];
  readonly savings: readonly { readonly name: string; readonly ms: number }[];
}

t.test("a start is explained by what all waited for, and by what a faster resource would save", async (t) => {
  const { startOf } = (await import(new URL("../../page/critical.js", import.meta.url).href)) as {
    readonly startOf: (starts: readonly object[]) => StartFound;
  }; // the page is plain JavaScript
  const start = (name: string, needs: readonly string[], at: number, ms: number): object => ({
    name,
    needs: needs.map((need) => ({ name: need })),
    at,
    ms,
  });
  const found = startOf([
    start("settings", [], 0, 10),
    start("db", ["settings"], 10, 100),
    start("cache", ["settings"], 10, 40),
    start("app", ["db", "cache"], 110, 5),
  ]);
  t.equal(found.total, 115);
  t.same(found.path, ["settings", "db", "app"]);
  t.same(found.savings, [
    { name: "db", ms: 60 },
    { name: "settings", ms: 10 },
    { name: "app", ms: 5 },
  ]);
  t.match(startOf([]), { total: 0, path: [], savings: [] });
});

interface Laid {
  readonly width: number;
  readonly height: number;
  readonly boxes: ReadonlyMap<
    string,
    { readonly x: number; readonly y: number; readonly width: number; readonly height: number; readonly column: number }
  >;
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    readonly points: readonly (readonly [number, number])[];
  }[];
}

interface Drawn {
  readonly name: string;
  readonly needs: readonly { readonly name: string }[];
}

/** A graph of so many resources, each of which needs up to three that come before it. */
function graphOf(size: number): Drawn[] {
  let seed = 7;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  return Array.from({ length: size }, (_, i) => ({
    name: `r${i}`,
    needs: i < 5 ? [] : Array.from({ length: 1 + random(3) }, () => ({ name: `r${random(i)}` })),
  }));
}

t.test(
  "boxes do not overlap, edges run from left to right and behind none, and nothing moves with the order",
  async (t) => {
    const { layout } = (await import(new URL("../../page/layout.js", import.meta.url).href)) as {
      readonly layout: (nodes: readonly Drawn[]) => Laid;
    }; // the page is plain JavaScript
    for (const size of [0, 1, 15, 60]) {
      const nodes = graphOf(size);
      const { boxes, edges, width, height } = layout(nodes);
      t.equal(boxes.size, size);
      const all = [...boxes.values()];
      const overlaps = all.filter((a, i) =>
        all
          .slice(i + 1)
          .some((b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height),
      );
      t.same(overlaps, [], `${size} boxes`);
      t.ok(
        all.every(({ x, y, ...box }) => x >= 0 && y >= 0 && x + box.width <= width && y + box.height <= height + 0.01),
      );
      const crossed = edges.flatMap(({ from, to, points }) =>
        [...boxes].filter(
          ([name, box]) => name !== from && name !== to && points.some(([x, y]) => isInside(box, x, y)),
        ),
      );
      t.same(crossed, [], "no edge runs behind a box");
      t.ok(edges.every(({ points }) => points.every(([x], i) => i === 0 || x >= (points[i - 1]?.[0] ?? 0))));
      const columns = (name: string): number => boxes.get(name)?.column ?? Number.NaN;
      const passed = edges.map(({ from, to }) => columns(to) - columns(from) - 1);
      t.same(
        edges.map(({ points }) => points.length),
        passed.map((n) => 2 + 2 * n),
        "each column is passed at a place of its own",
      );
      t.same(new Map([...layout([...nodes].reverse()).boxes].sort()), new Map([...boxes].sort()));
    }
    const hostile = [
      { name: "__proto__", needs: [{ name: "constructor" }] },
      { name: "constructor", needs: [{ name: "none" }] },
    ];
    t.same([...layout(hostile).boxes.keys()].sort(), ["__proto__", "constructor"]);
    t.equal(
      layout([
        { name: "a", needs: [{ name: "b" }] },
        { name: "b", needs: [{ name: "a" }] },
      ]).boxes.size,
      2,
    );
  },
);

function isInside(box: { x: number; y: number; width: number; height: number }, x: number, y: number): boolean {
  return x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height;
}

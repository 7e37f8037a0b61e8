import { createServer, get, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { gunzipSync } from "node:zlib";
import type { AddressInfo } from "node:net";
import { container, serveManagement } from "@steward/container";
import {
  Guard,
  isStewardError,
  resource,
  type MetricSample,
  type MetricsSource,
  type StewardError,
} from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { Registry } from "prom-client";
import t from "tap";
import { Meter, METRICS, metricsRoute, prometheusName, prometheusText, withAttributes } from "../src/index.ts";
import { collectInto } from "../src/prom-client.ts";
import { readText, whole } from "./text.ts";

/** A guard of which some calls succeeded, failed and were refused. */
async function usedGuard(): Promise<MetricsSource> {
  const clock = new FakeClock();
  const guard = new Guard({
    resource: "db",
    clock,
    maxConcurrent: 1,
    maxPending: 0,
    breaker: {},
    retry: { maxAttempts: 2 },
  });
  const slow = guard.run(() => clock.sleep(30));
  const refused = guard.run(() => 1).catch((error: unknown) => error);
  await clock.runUntil(slow);
  await refused;
  await guard.run(() => 1);
  await guard.run(() => Promise.reject(new Error("no"))).catch(() => {});
  return { metrics: () => guard.metrics({ resource: "db" }) };
}

t.test("the series of a guard read back as they are", async (t) => {
  const { lines, types, help } = readText(await whole(prometheusText(await usedGuard())));
  const valueOf = (name: string, labels: object): number | undefined =>
    lines.find((line) => line.name === name && JSON.stringify(line.labels) === JSON.stringify(labels))?.value;
  t.equal(valueOf("dependency_requests_total", { resource: "db", outcome: "success" }), 2);
  t.equal(valueOf("dependency_requests_total", { resource: "db", outcome: "failure" }), 1);
  t.equal(valueOf("dependency_requests_total", { resource: "db", outcome: "overloaded" }), 1);
  t.equal(valueOf("dependency_requests_total", { resource: "db", outcome: "circuit_open" }), 0);
  t.equal(valueOf("dependency_duration_seconds_bucket", { resource: "db", le: "0.00005" }), 2, "from 50 us on");
  t.equal(valueOf("dependency_duration_seconds_bucket", { resource: "db", le: "0.001" }), 2);
  t.equal(valueOf("dependency_duration_seconds_bucket", { resource: "db", le: "0.02" }), 2);
  t.equal(valueOf("dependency_duration_seconds_bucket", { resource: "db", le: "0.05" }), 3, "buckets are cumulative");
  t.equal(valueOf("dependency_duration_seconds_bucket", { resource: "db", le: "+Inf" }), 3);
  t.equal(valueOf("dependency_duration_seconds_count", { resource: "db" }), 3);
  t.equal(valueOf("dependency_duration_seconds_sum", { resource: "db" }), 0.03);
  t.equal(types.get("dependency_duration_seconds"), "histogram");
  t.equal(types.get("dependency_in_use"), "gauge");
  t.equal(help.get("dependency_requests_total"), METRICS["dependency_requests_total"]?.help);
});

t.test("a container's series come with its health, and its names are those of the table", async (t) => {
  const clock = new FakeClock();
  const fine = resource("fine", { start: () => 1, probe: () => {} });
  const running = await container([fine], { clock }).start();
  const { lines } = readText(await whole(prometheusText(running)));
  t.match(
    lines.find((line) => line.name === "dependency_health"),
    { labels: { resource: "fine", criticality: "critical" }, value: 1 },
  );
  const sources = [running, await usedGuard()];
  for (const source of sources)
    for (const { name, kind, unit } of source.metrics()) t.match(METRICS[name], { kind, unit }, name);
  await running.stop();
});

t.test("each character that a label must escape is escaped, also where it stands alone", async (t) => {
  for (const path of ["C:\\temp", 'say "hi"', "two\nlines"]) {
    const meter = new Meter();
    meter.counter("odd", { attributes: { path } }).add(1);
    const { lines } = readText(await whole(prometheusText(meter)));
    t.match(lines, [{ name: "odd_total", labels: { path }, value: 1 }]);
  }
});

t.test("values of labels, words and numbers survive whatever they hold", async (t) => {
  const meter = new Meter();
  const nasty = 'a"b\\c\nd,e="f"}';
  meter.counter("odd", { attributes: { path: nasty, "net.peer": "é" }, help: "back\\slash\nnew line" }).add(2);
  meter.gauge("infinite").set(Infinity);
  meter.gauge("nothing").set(NaN);
  meter.gauge("negative", { unit: "By" }).set(-1.5e-7);
  const { lines, help } = readText(await whole(prometheusText(meter)));
  t.match(lines, [
    { name: "odd_total", labels: { path: nasty, net_peer: "é" }, value: 2 },
    { name: "infinite", value: Infinity },
    { name: "nothing", value: NaN },
    { name: "negative_bytes", value: -1.5e-7 },
  ]);
  t.equal(help.get("odd_total"), "back\\slash\nnew line");
});

t.test("names become what Prometheus and the conventions want", (t) => {
  t.equal(prometheusName("db.client.connection.count", "gauge", "{connection}"), "db_client_connection_count");
  t.equal(
    prometheusName("db.client.connection.timeouts", "counter", "{timeout}"),
    "db_client_connection_timeouts_total",
  );
  t.equal(prometheusName("http.client.request.duration", "histogram", "s"), "http_client_request_duration_seconds");
  t.equal(prometheusName("dependency_duration_seconds", "histogram", "s"), "dependency_duration_seconds");
  t.equal(prometheusName("dependency_requests_total", "counter", "{request}"), "dependency_requests_total");
  t.equal(prometheusName("cpu.time", "counter", "s"), "cpu_time_seconds_total");
  t.equal(prometheusName("2xx", "gauge", "1"), "_2xx");
  t.end();
});

t.test("series with the same name and attributes are added up, whatever the order of the attributes", async (t) => {
  const clock = new FakeClock();
  const guards = [1, 2].map(() => new Guard({ resource: "http", clock }));
  for (const guard of guards) await guard.run(() => clock.now());
  const source: MetricsSource = {
    *metrics() {
      yield* (guards[0] as Guard).metrics({ resource: "http", zone: "a" });
      yield* (guards[1] as Guard).metrics({ zone: "a", resource: "http" });
    },
  };
  const { lines } = readText(await whole(prometheusText(source)));
  t.equal(
    lines.find(({ name, labels }) => name === "dependency_requests_total" && labels["outcome"] === "success")?.value,
    2,
  );
  t.equal(lines.find(({ name }) => name === "dependency_duration_seconds_count")?.value, 2);
  const apart = readText(
    await whole(
      prometheusText([withAttributes(source, { container: "a" }), withAttributes(source, { container: "b" })]),
    ),
  );
  t.equal(apart.lines.filter(({ name }) => name === "dependency_in_use").length, 2);
});

t.test("a source that fails and a metric of two kinds are told, and the rest is exported", async (t) => {
  const meter = new Meter();
  meter.counter("fine").add();
  const sample: MetricSample = { name: "fine", kind: "gauge", unit: "1", attributes: {}, value: 7 };
  const bounds = (...list: number[]): MetricSample => ({
    name: "h",
    kind: "histogram",
    unit: "s",
    attributes: {},
    value: { bounds: list, counts: [...list.map(() => 0), 0], sum: 0, count: 0 },
  });
  const broken: MetricsSource = {
    *metrics() {
      yield sample;
      yield bounds(1, 2);
      yield bounds(1, 3);
      throw new Error("broken pipe");
    },
  };
  const problems: StewardError[] = [];
  const { lines } = readText(
    await whole(prometheusText([meter, broken], { onProblem: (problem) => problems.push(problem) })),
  );
  t.match(lines[0], { name: "fine_total", value: 1 });
  t.strictSame(
    problems.map(({ code }) => code),
    ["TELEMETRY_METRIC_CONFLICT", "TELEMETRY_METRIC_CONFLICT", "TELEMETRY_SOURCE_FAILED"],
  );
  t.match(problems[2]?.message, /broken pipe/);
});

/** How often the event loop turned while `work` went on. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  const state = { turns: 0, over: false };
  void work.finally(() => (state.over = true));
  for (; !state.over; state.turns++) await new Promise((resolve) => setImmediate(resolve));
  return state.turns;
}

t.test("many histograms are written in slices between which the event loop turns", async (t) => {
  const meters = Array.from({ length: 5 }, () => new Meter());
  for (const [m, meter] of meters.entries())
    for (let i = 0; i < 1_000; i++) meter.histogram(`took${m}`, { attributes: { route: `/r/${i}` } }).record(i / 1_000);
  let text = "";
  const turns = await turnsDuring(whole(prometheusText(meters)).then((all) => (text = all)));
  t.ok(turns >= 3, `${turns} turns`);
  const { lines } = readText(text);
  t.equal(lines.length, 100_000);
  const sum = lines.filter(({ name }) => name.endsWith("_seconds_sum")).reduce((all, { value }) => all + value, 0);
  t.equal(Math.round(sum * 10), 24_975);
});

function fetched(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<{ readonly response: IncomingMessage; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    get(url, { headers, method, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response
        .on("data", (part: Buffer) => parts.push(part))
        .once("end", () => resolve({ response, body: Buffer.concat(parts) }));
    }).once("error", reject);
  });
}

t.test("a route serves them, compressed where that is welcome, on the management listener too", async (t) => {
  const running = await container([resource("one", { start: () => 1 })], { clock: new FakeClock() }).start();
  await using listener = await serveManagement(running, { routes: { "/metrics": metricsRoute(running) } });
  const url = `${listener.url}/metrics`;
  const plain = await fetched(url);
  t.match(plain.response.headers, {
    "content-type": "text/plain; version=0.0.4; charset=utf-8",
    "cache-control": "no-store",
  });
  t.ok(readText(plain.body.toString()).types.has("dependency_health"));
  const zipped = await fetched(url, { "accept-encoding": "gzip;q=1.0, identity;q=0.1" });
  t.equal(zipped.response.headers["content-encoding"], "gzip");
  t.equal(gunzipSync(zipped.body).toString(), plain.body.toString());
  t.equal((await fetched(url, { "accept-encoding": "gzip;q=0" })).response.headers["content-encoding"], undefined);
  const head = await fetched(url, {}, "HEAD");
  t.strictSame([head.response.statusCode, head.body.length], [200, 0]);
  const post = await fetched(url, {}, "POST");
  t.match([post.response.statusCode, post.response.headers["allow"]], [405, "GET, HEAD"]);
  await running.stop();
});

t.test("a client that goes in the middle ends its scrape", async (t) => {
  const meter = new Meter();
  for (let i = 0; i < 1_000; i++) meter.histogram("took", { attributes: { route: `/r/${i}` } });
  const route = metricsRoute(meter);
  const answered: Promise<void>[] = [];
  const server = createServer((request, response) => void answered.push(route(request, response)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const request = get({ port, host: "127.0.0.1", agent: false }, (response) =>
    response.once("data", () => request.destroy()),
  );
  await once(request, "close");
  await Promise.all(answered);
  server.close();
  await once(server, "close");
  t.equal(answered.length, 1);
});

t.test("a meter gives one recorder for one series and refuses what cannot be written", async (t) => {
  const meter = new Meter({ maxSeries: 3 });
  const one = meter.counter("jobs", { attributes: { a: "1", b: "2" } });
  t.equal(meter.counter("jobs", { attributes: { b: "2", a: "1" } }), one);
  one.add(2);
  one.add(-5);
  t.equal(one.value, 2, "a counter only grows");
  const gauge = meter.gauge("level");
  gauge.set(5);
  gauge.add(-2);
  t.equal(gauge.value, 3);
  const codeOf = (make: () => unknown): string => {
    try {
      make();
      return "ok";
    } catch (error) {
      return isStewardError(error) ? error.code : String(error);
    }
  };
  t.equal(
    codeOf(() => meter.gauge("jobs")),
    "TELEMETRY_METRIC_CONFLICT",
  );
  t.equal(
    codeOf(() => meter.counter("jobs", { unit: "By" })),
    "TELEMETRY_METRIC_CONFLICT",
  );
  t.equal(
    codeOf(() => meter.counter("jobs-done")),
    "TELEMETRY_NAME_INVALID",
  );
  t.equal(
    codeOf(() => meter.counter("jobs", { attributes: { "a b": "" } })),
    "TELEMETRY_NAME_INVALID",
  );
  meter.histogram("took").record(1);
  t.equal(
    codeOf(() => meter.histogram("took", { bounds: [1] })),
    "TELEMETRY_METRIC_CONFLICT",
  );
  for (let i = 0; i < 100; i++) meter.counter("jobs", { attributes: { a: String(i) } }).add();
  t.match(
    [...meter.metrics()].filter(({ name }) => name === "jobs"),
    [{ value: 2 }, { attributes: { overflow: "true" }, value: 100 }],
  );
});

t.test("a registry of prom-client shows the same, beside its own, until disposed", async (t) => {
  const registry = new Registry();
  const source = await usedGuard();
  const meter = new Meter();
  const collecting = collectInto(registry, [source, meter]);
  t.match(await registry.metrics(), /dependency_in_use/, "from the first scrape on");
  meter.counter("later", { help: "Later." }).add(4);
  await registry.metrics();
  const theirs = readText((await registry.metrics()).replaceAll(/\n\n/g, "\n"));
  const ours = readText(await whole(prometheusText([source, meter])));
  const sorted = (lines: readonly object[]): string[] => lines.map((line) => JSON.stringify(line)).sort();
  t.strictSame(sorted(theirs.lines), sorted(ours.lines));
  t.strictSame(Object.fromEntries(theirs.types), Object.fromEntries(ours.types));
  collecting[Symbol.dispose]();
  t.equal((await registry.metrics()).trim(), "");
});

import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type ContextManager } from "@opentelemetry/api";
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricReader,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { AsyncLocalStorage } from "node:async_hooks";
import { channel } from "node:diagnostics_channel";
import { container } from "@steward/container";
import {
  CHANNELS,
  currentContext,
  Guard,
  resource,
  runWithContext,
  type CallAbout,
  type RequestEnd,
  type RequestEvent,
} from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { Meter } from "../src/index.ts";
import {
  metricProducer,
  parseTraceparent,
  traceparentOf,
  traceRequests,
  traceResources,
} from "../src/opentelemetry.ts";

class Tracing implements Disposable {
  readonly exporter = new InMemorySpanExporter();
  readonly tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(this.exporter)] }).getTracer(
    "test",
  );
  readonly #tracing = traceResources(this.tracer);

  names(): string[] {
    return this.exporter.getFinishedSpans().map(({ name }) => name);
  }

  [Symbol.dispose](): void {
    this.#tracing[Symbol.dispose]();
  }
}

t.test("a reader of the SDK gets counters, gauges, pools and histograms as they are", async (t) => {
  const clock = new FakeClock();
  const guard = new Guard({ resource: "db", clock });
  await clock.runUntil(guard.run(() => clock.sleep(30)));
  const pool = {
    name: "db.client.connection.count",
    kind: "gauge",
    unit: "{connection}",
    attributes: { resource: "db", state: "idle" },
    value: 4,
  } as const;
  const source = { metrics: () => [...guard.metrics({ resource: "db" }), pool] };
  const broken = {
    metrics(): never {
      throw new Error("no");
    },
  };
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader: MetricReader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: 3_600_000,
    metricProducers: [metricProducer([source, broken])],
  });
  const provider = new MeterProvider({ readers: [reader] });
  const { resourceMetrics, errors } = await reader.collect();
  t.match(errors, [{ code: "TELEMETRY_SOURCE_FAILED" }]);
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  const find = (name: string): object | undefined => metrics.find(({ descriptor }) => descriptor.name === name);
  t.match(find("dependency_requests_total"), { dataPointType: DataPointType.SUM, isMonotonic: true });
  t.match(find("dependency_in_use"), { dataPointType: DataPointType.SUM, isMonotonic: false });
  t.match(find("dependency_duration_seconds"), {
    descriptor: { unit: "s", description: /\w/ },
    dataPointType: DataPointType.HISTOGRAM,
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPoints: [
      {
        attributes: { resource: "db" },
        value: { sum: 0.03, count: 1, buckets: { counts: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1] } },
      },
    ],
  });
  t.match(find("db.client.connection.count"), {
    dataPoints: [
      { attributes: { "db.client.connection.pool.name": "db", "db.client.connection.state": "idle" }, value: 4 },
    ],
  });
  const meter = new Meter();
  meter.gauge("temperature", { unit: "Cel" }).set(21);
  const own = await metricProducer(meter).collect();
  t.match(own.resourceMetrics.scopeMetrics[0]?.metrics, [
    { dataPointType: DataPointType.GAUGE, dataPoints: [{ value: 21 }] },
  ]);
  await reader.forceFlush();
  t.ok(exporter.getMetrics().length > 0, "an exporter takes them");
  await provider.shutdown();
});

t.test("starts and stops are spans, and what fails says with which code", async (t) => {
  using tracing = new Tracing();
  const clock = new FakeClock();
  const db = resource("db", { start: () => clock.sleep(20) });
  const running = await clock.runUntil(container([db], { clock }).start());
  t.strictSame(tracing.names(), ["start db", "start container"]);
  await clock.runUntil(running.stop());
  t.strictSame(tracing.names().slice(2), ["stop db", "stop container"]);
  const bad = resource("bad", {
    start: () => Promise.reject(Object.assign(new Error("postgres://me:hush@host"), { code: "ECONNREFUSED" })),
  });
  await container([bad], { clock })
    .start()
    .catch(() => {});
  const span = tracing.exporter.getFinishedSpans().find(({ name }) => name === "start bad");
  t.match(span, {
    status: { code: SpanStatusCode.ERROR },
    attributes: { "steward.resource": "bad", "error.type": "ECONNREFUSED" },
  });
  t.notMatch(JSON.stringify(span?.attributes) + JSON.stringify(span?.status) + JSON.stringify(span?.events), /hush/);
});

t.test("a call is a span of its request, also one that waited in the queue", async (t) => {
  using tracing = new Tracing();
  const clock = new FakeClock();
  const guard = new Guard({ resource: "db", clock, maxConcurrent: 1, maxPending: 1, timeoutMs: 1_000 });
  const traces = ["1", "2"].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`);
  const calls = traces.map((traceContext) => runWithContext({ traceContext }, () => guard.run(() => clock.sleep(30))));
  await clock.runUntil(Promise.all(calls));
  const spans = tracing.exporter.getFinishedSpans();
  t.strictSame(
    spans.map((span) => span.spanContext().traceId[0]),
    ["1", "2"],
  );
  t.match(spans, [
    { name: "call db", parentSpanContext: { spanId: "1".repeat(16) }, attributes: { "steward.queued_ms": 0 } },
    { parentSpanContext: { spanId: "2".repeat(16) }, attributes: { "steward.queued_ms": 30 } },
  ]);
  const [, second] = spans;
  const lasted = ((second?.duration[0] ?? 0) * 1e9 + (second?.duration[1] ?? 0)) / 1e6;
  t.equal(Math.round(lasted), 60, "it begins when the call was asked for");
  await guard.run(() => Promise.reject(new TypeError("secret"))).catch(() => {});
  t.match(tracing.exporter.getFinishedSpans().at(-1), {
    attributes: { "error.type": "TypeError" },
    parentSpanContext: undefined,
  });
});

t.test(
  "what a call asks for elsewhere belongs to its span, and names, kinds and errors are those of the conventions",
  async (t) => {
    using tracing = new Tracing();
    const clock = new FakeClock();
    const made = async (about: CallAbout, error?: unknown): Promise<ReadableSpan | undefined> => {
      const guard = new Guard({ resource: "r", clock, about: () => about });
      await guard.run(() => (error === undefined ? 1 : Promise.reject(error)), { operation: "GET" }).catch(() => {});
      return tracing.exporter.getFinishedSpans().at(-1);
    };
    const at = { "server.address": "h", "server.port": 1 };
    const reply = Object.assign(new Error("WRONGTYPE no list"), { name: "ReplyError" });
    t.match(await made({ attributes: { "db.system.name": "redis", "db.namespace": "0", ...at } }, reply), {
      name: "GET h:1",
      kind: SpanKind.CLIENT,
      attributes: { "db.operation.name": "GET", "db.response.status_code": "WRONGTYPE", "error.type": "WRONGTYPE" },
    });
    const sql = Object.assign(new Error("no"), { severity: "ERROR", code: "42P01" });
    t.match(await made({ attributes: { "db.system.name": "postgresql", "db.namespace": "clips", ...at } }, sql), {
      name: "GET clips",
      attributes: { "db.response.status_code": "42P01", "error.type": "42P01" },
    });
    const rpc = (status: string, kind: "client" | "server") =>
      made({
        kind,
        attributes: { "rpc.system.name": "grpc", "rpc.method": "a.B/C", "rpc.response.status_code": status },
      });
    const failed = { code: SpanStatusCode.ERROR };
    t.match(await rpc("NOT_FOUND", "client"), {
      name: "a.B/C",
      status: failed,
      attributes: { "error.type": "NOT_FOUND" },
    });
    t.match(await rpc("NOT_FOUND", "server"), { kind: SpanKind.SERVER, status: { code: SpanStatusCode.UNSET } });
    t.match(await rpc("INTERNAL", "server"), { status: failed, attributes: { "error.type": "INTERNAL" } });
    const http = { "http.request.method": "_OTHER", "http.response.status_code": 404 };
    t.match(await made({ attributes: http }), { name: "HTTP", status: failed, attributes: { "error.type": "404" } });
    t.match(await made({ kind: "internal", attributes: {} }), { name: "GET r", kind: SpanKind.INTERNAL });
    const guard = new Guard({ resource: "outer", clock });
    await guard.run(() => made({ attributes: {} }));
    const [inner, outer] = tracing.exporter.getFinishedSpans().slice(-2);
    t.equal(inner?.parentSpanContext?.spanId, outer?.spanContext().spanId);
    const some = traceResources(tracing.tracer, { calls: ({ error }) => error !== undefined });
    t.teardown(() => some[Symbol.dispose]());
    const { length } = tracing.exporter.getFinishedSpans();
    await made({ attributes: {} });
    t.equal(tracing.exporter.getFinishedSpans().length, length + 1, "of the other one alone, for nothing failed");
  },
);

t.test("a tracer that makes no spans changes nothing of the trace that a call belongs to", async (t) => {
  using _tracing = traceResources(trace.getTracer("of no SDK"));
  const guard = new Guard({ resource: "r", clock: new FakeClock() });
  const seen = (): Promise<unknown> => guard.run(() => currentContext()?.traceContext);
  const traceContext = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
  t.equal(await seen(), undefined);
  t.equal(await runWithContext({ traceContext }, seen), traceContext);
});

/** The context manager of OpenTelemetry for asynchronous code, as its own package has it. */
class StorageContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<ReturnType<ContextManager["active"]>>();
  active() {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: ReturnType<ContextManager["active"]>,
    fn: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => fn.call(self, ...args));
  }
  bind<T>(_context: unknown, target: T): T {
    return target;
  }
  enable() {
    return this;
  }
  disable() {
    return this;
  }
}

t.test("without a context of ours a call belongs to OpenTelemetry's active span", async (t) => {
  context.setGlobalContextManager(new StorageContexts());
  t.teardown(() => context.disable());
  using tracing = new Tracing();
  const guard = new Guard({ resource: "db", clock: new FakeClock() });
  const request = tracing.tracer.startSpan("request");
  await context.with(trace.setSpan(context.active(), request), () => guard.run(() => Promise.resolve(1)));
  t.equal(tracing.exporter.getFinishedSpans()[0]?.parentSpanContext?.spanId, request.spanContext().spanId);
});

/** A request as servers announce it; `over` ends it. */
class Announced {
  readonly event: { -readonly [K in keyof RequestEvent]: RequestEvent[K] };

  constructor(changes: Partial<RequestEvent> = {}) {
    this.event = {
      requestId: "id",
      method: "GET",
      scheme: "http",
      url: "/videos/7",
      httpVersion: "1.1",
      host: "api.example:8080",
      userAgent: "curl/8",
      peer: { address: "10.0.0.1", port: 5_000 },
      traceContext: undefined,
      traceState: undefined,
      end: undefined,
      ...changes,
    };
    channel(CHANNELS.request).publish(this.event);
  }

  over(end: Partial<RequestEnd>): void {
    this.event.end = { route: "/videos/:id", status: 200, errorType: undefined, ...end };
    channel(CHANNELS.request).publish(this.event);
  }
}

t.test("a request is a server span by the conventions for HTTP, below the span of its caller", async (t) => {
  context.setGlobalContextManager(new StorageContexts());
  t.teardown(() => context.disable());
  using tracing = new Tracing();
  const last = (): object | undefined => tracing.exporter.getFinishedSpans().at(-1);
  const tracingRequests = traceRequests(tracing.tracer, { requests: ({ url }) => url !== "/livez" });
  const request = new Announced({
    url: "/videos/7?token=***",
    traceContext: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    traceState: "vendor=1",
  });
  const { span } = request.event;
  const active = await span?.run(async () => trace.getActiveSpan()?.spanContext().spanId);
  t.equal(span?.traceContext, `00-${"a".repeat(32)}-${active}-01`, "what it calls belongs to it");
  const guard = new Guard({ resource: "db", clock: new FakeClock() });
  await runWithContext({ traceContext: span?.traceContext }, () => guard.run(() => Promise.resolve(1)));
  t.match(last(), { name: "call db", parentSpanContext: { spanId: active } });
  request.over({});
  t.match(last(), {
    name: "GET /videos/:id",
    kind: SpanKind.SERVER,
    parentSpanContext: { spanId: "b".repeat(16), isRemote: true },
    status: { code: SpanStatusCode.UNSET },
  });
  t.equal(tracing.exporter.getFinishedSpans().at(-1)?.spanContext().traceState?.serialize(), "vendor=1");
  t.strictSame(tracing.exporter.getFinishedSpans().at(-1)?.attributes, {
    "http.request.method": "GET",
    "url.scheme": "http",
    "url.path": "/videos/7",
    "url.query": "token=***",
    "network.protocol.version": "1.1",
    "user_agent.original": "curl/8",
    "network.peer.address": "10.0.0.1",
    "network.peer.port": 5_000,
    "server.address": "api.example",
    "server.port": 8_080,
    "http.route": "/videos/:id",
    "http.response.status_code": 200,
  });
  const ends = [
    [{ status: 404, route: undefined }, SpanStatusCode.UNSET, undefined, "GET"],
    [{ status: 503, errorType: "503" }, SpanStatusCode.ERROR, "503", "GET /videos/:id"],
    [{ status: 200, errorType: "TypeError" }, SpanStatusCode.ERROR, "TypeError", "GET /videos/:id"],
    [{ status: undefined, errorType: "CALL_ABORTED" }, SpanStatusCode.UNSET, "CALL_ABORTED", "GET /videos/:id"],
  ] as const;
  for (const [end, code, type, name] of ends) {
    new Announced().over(end);
    t.match(last(), { name, status: { code }, attributes: { "error.type": type }, parentSpanContext: undefined });
  }
  new Announced({ method: "BREW", host: "[::1]:80" }).over({});
  t.match(last(), {
    name: "HTTP /videos/:id",
    attributes: {
      "http.request.method": "_OTHER",
      "http.request.method_original": "BREW",
      "server.address": "::1",
    },
  });
  const count = tracing.names().length;
  new Announced({ url: "/livez" }).over({});
  t.equal(tracing.names().length, count, "one that gets none");
  const open = new Announced();
  tracingRequests[Symbol.dispose]();
  t.equal(tracing.names().length, count + 1, "what is under way ends");
  open.over({});
  new Announced().over({});
  t.equal(tracing.names().length, count + 1, "nothing is listened to any more");
});

t.test("nothing is listened to any more after disposal, and what is under way ends", async (t) => {
  const tracing = new Tracing();
  const clock = new FakeClock();
  const starting = container([resource("db", { start: () => clock.sleep(20) })], { clock }).start();
  const calling = new Guard({ resource: "r", clock }).run(() => clock.sleep(20));
  await clock.settle();
  tracing[Symbol.dispose]();
  t.strictSame(new Set(tracing.names()), new Set(["call r", "start container", "start db"]));
  await (await clock.runUntil(starting)).stop();
  await clock.runUntil(calling);
  t.equal(tracing.names().length, 3);
});

t.test("two tracers each get a whole span of a call, and what it sends belongs to that of the later one", async (t) => {
  using first = new Tracing();
  using second = new Tracing();
  const guard = new Guard({ resource: "r", clock: new FakeClock() });
  const sent = await guard.run(() => currentContext()?.traceContext);
  t.strictSame([first.names(), second.names()], [["call r"], ["call r"]]);
  t.match(sent, second.exporter.getFinishedSpans()[0]?.spanContext().spanId);
});

t.test("a traceparent is read and written as the standard has it", (t) => {
  const text = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const parsed = parseTraceparent(text);
  t.match(parsed, { traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1, isRemote: true });
  t.equal(parsed && traceparentOf(parsed), text);
  for (const bad of [
    "",
    "00",
    text.slice(1),
    `ff${text.slice(2)}`,
    `${text}-more`,
    text.replaceAll("a", "0"),
    text.replaceAll("b", "0"),
    text.toUpperCase(),
  ])
    t.equal(parseTraceparent(bad), undefined, bad);
  t.ok(parseTraceparent(`01${text.slice(2)}-more`), "a later version may have more");
  t.end();
});

import { InMemorySpanExporter, BasicTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { SpanKind, type Attributes } from "@opentelemetry/api";
import { runWithContext } from "@steward/core";
import { HttpSessionManager } from "@steward/http";
import { fetchOver } from "@steward/http/fetch";
import { traceparentOf, traceRequests, traceResources } from "@steward/telemetry/opentelemetry";
import { WebSocketSessionManager } from "@steward/websocket";
import type { Test } from "tap";
import type { LocalClips } from "./clips.ts";

const exporter = new InMemorySpanExporter();
const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer("trace.test");

/** What a span has to be, by the conventions of OpenTelemetry for its protocol. */
interface Convention {
  readonly kind: SpanKind;
  readonly name: RegExp;
  /** Required, with what their values look like. */
  readonly attributes: Readonly<Record<string, RegExp>>;
  /** Kinds of the span that it belongs to; `undefined` for a span of the test. */
  readonly parents: readonly (keyof typeof CONVENTIONS | undefined)[];
}

const ADDRESS = { "server.address": /^127\.0\.0\.1$|^localhost$/, "server.port": /^\d+$/ };

const CONVENTIONS = {
  "http client": {
    kind: SpanKind.CLIENT,
    name: /^(GET|POST)$/,
    attributes: {
      "http.request.method": /^(GET|POST)$/,
      "url.full": /^http:\/\//,
      "http.response.status_code": /^20[012]$/,
      ...ADDRESS,
    },
    parents: [undefined],
  },
  "http server": {
    kind: SpanKind.SERVER,
    name: /^(GET|POST) \/api\/v1\/videos(\/:id(\/process)?)?$/,
    attributes: {
      "http.request.method": /^(GET|POST)$/,
      "http.route": /^\/api\/v1\/videos/,
      "url.scheme": /^http$/,
      "url.path": /^\/api/,
      "http.response.status_code": /^20[012]$/,
      ...ADDRESS,
    },
    parents: ["http client"],
  },
  postgres: {
    kind: SpanKind.CLIENT,
    name: /^(SELECT|INSERT|UPDATE|WITH|NOTIFY|BEGIN|COMMIT) \w+$/i,
    attributes: {
      "db.system.name": /^postgresql$/,
      "db.namespace": /^\w+$/,
      "db.operation.name": /^[A-Z]+$/i,
      ...ADDRESS,
    },
    parents: ["http server", "rpc server", "work", undefined],
  },
  redis: {
    kind: SpanKind.CLIENT,
    name: /^[A-Z]+ [\w.]+:\d+$/,
    attributes: { "db.system.name": /^redis$/, "db.namespace": /^\d+$/, "db.operation.name": /^[A-Z]+$/, ...ADDRESS },
    parents: ["http server", "message sent", "work", undefined],
  },
  "rpc client": {
    kind: SpanKind.CLIENT,
    name: /^clips\.v1\.Renderer\/Render$/,
    attributes: {
      "rpc.system.name": /^grpc$/,
      "rpc.method": /^clips\.v1\.Renderer\/Render$/,
      "rpc.response.status_code": /^OK$/,
      ...ADDRESS,
    },
    parents: ["http server"],
  },
  "rpc server": {
    kind: SpanKind.SERVER,
    name: /^clips\.v1\.Renderer\/Render$/,
    attributes: {
      "rpc.system.name": /^grpc$/,
      "rpc.method": /^clips\.v1\.Renderer\/Render$/,
      "rpc.response.status_code": /^OK$/,
    },
    parents: ["rpc client"],
  },
  "message sent": {
    kind: SpanKind.PRODUCER,
    name: /^send$/,
    attributes: {
      "messaging.system": /^websocket$/,
      "messaging.operation.name": /^send$/,
      "messaging.operation.type": /^send$/,
      "messaging.destination.name": /^video:/,
    },
    parents: ["http server"],
  },
  "message processed": {
    kind: SpanKind.CONSUMER,
    name: /^process$/,
    attributes: {
      "messaging.system": /^websocket$/,
      "messaging.operation.name": /^process$/,
      "messaging.operation.type": /^process$/,
      "messaging.destination.name": /^video:/,
    },
    parents: ["message sent"],
  },
  /** Of ours, for which there is no convention: waits, leases, limits. */
  work: { kind: SpanKind.INTERNAL, name: /^/, attributes: {}, parents: ["http server", "work", undefined] },
} as const satisfies Readonly<
  Record<string, { kind: SpanKind; name: RegExp; attributes: object; parents: readonly unknown[] }>
>;

function protocolOf(attributes: Attributes, kind: SpanKind): keyof typeof CONVENTIONS {
  if ("http.request.method" in attributes) return kind === SpanKind.SERVER ? "http server" : "http client";
  if ("rpc.system.name" in attributes) return kind === SpanKind.SERVER ? "rpc server" : "rpc client";
  if ("messaging.system" in attributes) return kind === SpanKind.PRODUCER ? "message sent" : "message processed";
  if (kind === SpanKind.INTERNAL) return "work";
  return attributes["db.system.name"] === "redis" ? "redis" : "postgres";
}

/**
 * A traced request to one instance of Clips, watched at another: every span of it, its parent, name, kind and attributes must be as
 * the conventions say.
 */
export async function tracedVisit(t: Test, clips: LocalClips, other: LocalClips): Promise<void> {
  await using http = await new HttpSessionManager({ baseUrl: clips.url }).start();
  await using sockets = await new WebSocketSessionManager({ url: `${other.url.replace(/^http/, "ws")}/ws` }).start();
  const ask = async (
    path: string,
    init: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ): Promise<{ readonly id: string; readonly status: string }> => {
    const answer = await fetchOver(http.client)(path, init);
    return (await answer.json()) as { id: string; status: string }; // the API says so
  };
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ title: "Sunrise", sourceUrl: "https://example.com/a.mp4", durationMs: 3_000 });
  const { id } = await ask("/api/v1/videos", { method: "POST", headers, body });
  const done = new Promise<void>((resolve) => {
    void sockets.client.join(`video:${id}`, ({ data }) => {
      if ((data as { status: string }).status === "done") setImmediate(resolve); // once the span of the message has ended
    });
  });
  using _resources = traceResources(tracer);
  using _requests = traceRequests(tracer);
  const root = tracer.startSpan("visit");
  const traceContext = traceparentOf(root.spanContext());
  await runWithContext({ traceContext, requestId: "visit-1" }, async () => {
    await ask(`/api/v1/videos/${id}`);
    await ask(`/api/v1/videos/${id}/process`, { method: "POST" });
  });
  await done;
  root.end();
  const { traceId } = root.spanContext();
  const spans = exporter
    .getFinishedSpans()
    .filter((span) => span.spanContext().traceId === traceId && span.name !== "visit");
  const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]));
  const seen = new Map<string, number>();
  for (const { name, kind, attributes, parentSpanContext } of spans) {
    const protocol = protocolOf(attributes, kind);
    const convention: Convention = CONVENTIONS[protocol];
    seen.set(protocol, (seen.get(protocol) ?? 0) + 1);
    t.equal(kind, convention.kind, `${protocol}: kind`);
    t.match(name, convention.name, `${protocol}: name`);
    for (const [key, form] of Object.entries(convention.attributes))
      t.match(String(attributes[key]), form, `${protocol}: ${key}`);
    const parent = byId.get(parentSpanContext?.spanId ?? "");
    const of = parent === undefined ? undefined : protocolOf(parent.attributes, parent.kind);
    t.ok(
      convention.parents.includes(of),
      `${protocol} ${name} belongs to ${parent?.name ?? parentSpanContext?.spanId}`,
    );
  }
  const missing = Object.keys(CONVENTIONS).filter((protocol) => protocol !== "work" && !seen.has(protocol));
  t.strictSame(missing, [], [...seen].join(" "));
  t.comment([...seen].map(([protocol, count]) => `${protocol} ${count}`).join(", "));
}

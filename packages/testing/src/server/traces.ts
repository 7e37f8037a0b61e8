import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { CHANNELS, currentContext, resource, type RequestEvent } from "@steward/core";
import { until } from "../waits.ts";
import { leaveAtFirstBytes, open, rest, write } from "./client.ts";
import { gate, type ServerCase } from "./world.ts";

const CALLER = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

/** Listens to requests, and gives each a span, as a tracer does. */
class Listener implements Disposable {
  readonly began: RequestEvent[] = [];
  readonly ended: string[] = [];
  /** How many pieces of work run where the span is active. */
  active = 0;

  constructor() {
    subscribe(CHANNELS.request, this.#notice);
  }

  /** The `traceparent` of the nth span. */
  static traceparent(nth: number): string {
    return `00-${"a".repeat(32)}-${String(nth).padStart(16, "0")}-01`;
  }

  readonly #notice = (published: unknown): void => {
    const event = published as RequestEvent; // what core sends on this channel
    if (event.end !== undefined) return this.#over(event, event.end);
    this.began.push(event);
    const run = <T>(work: () => T): T => (this.active++, work());
    event.span = { traceContext: Listener.traceparent(this.began.length), run };
  };

  #over({ method }: RequestEvent, { route, status, errorType }: NonNullable<RequestEvent["end"]>): void {
    this.ended.push([method, route, status, errorType].map(String).join(" "));
  }

  [Symbol.dispose](): void {
    unsubscribe(CHANNELS.request, this.#notice);
  }
}

/** What traces learn of requests. */
export const traceCases: readonly ServerCase[] = [
  {
    name: "announces each request with its caller's trace; what it calls belongs to the span that it is given",
    async run(world) {
      const { assert, adapter } = world;
      using listener = new Listener();
      const traces: unknown[] = [];
      const note = (): void => void traces.push(currentContext()?.traceContext);
      const each = resource("each", { lifetime: "request", start: note });
      const needs = { each, background: adapter.from.background, id: adapter.from.path("id") };
      interface Values {
        readonly background: { add(name: string, run: () => unknown): void };
      }
      const answer = async ({ background }: Values): Promise<string> => {
        background.add("work", note);
        await Promise.resolve();
        return (note(), "ok");
      };
      const up = await world.up([{ method: "GET", path: "/videos/:id", needs, answer }]);
      const headers = { traceparent: CALLER, tracestate: "v=1", "user-agent": "suite", "x-request-id": "id-1" };
      await up.ask("/videos/7?token=hush&a=1", { headers });
      await up.idle();
      const { requestId, url, host, userAgent, traceContext, traceState, peer, scheme, httpVersion } =
        listener.began[0] ?? ({} as Partial<RequestEvent>);
      assert.strictEqual(
        [requestId, url, host, userAgent, traceContext, traceState, peer?.address, scheme, httpVersion].join(" "),
        `id-1 /videos/7?token=***&a=1 127.0.0.1 suite ${CALLER} v=1 127.0.0.1 http 1.1`,
      );
      assert.strictEqual(traces.join(), new Array(3).fill(Listener.traceparent(1)).join());
      assert.ok(listener.active > 0, "the span is active");
      assert.strictEqual(listener.ended.join(), "GET /videos/:id 200 undefined");
    },
  },
  {
    name: "announces the end of a request when its response is closed: errors of ours, clients that go, and streams",
    async run(world) {
      const { assert, adapter } = world;
      using listener = new Listener();
      const failing = (): never => {
        throw new Error("no");
      };
      const last = gate();
      const streaming = (): unknown =>
        adapter.stream(
          (async function* () {
            yield "one";
            await last.passed;
            yield "two";
          })(),
        );
      const up = await world.up([
        { method: "GET", path: "/failing", needs: {}, answer: failing },
        { method: "GET", path: "/streaming", needs: {}, answer: streaming },
      ]);
      await up.ask("/failing");
      await up.ask("/nowhere");
      const gone = await open(up.port);
      write(gone, "/streaming");
      await leaveAtFirstBytes(gone);
      await until(() => listener.ended.length === 3, "its end is announced");
      const whole = await open(up.port);
      write(whole, "/streaming", { headers: { connection: "close" } });
      await once(whole, "data");
      assert.strictEqual(listener.began.length - listener.ended.length, 1, "it is under way until its end is sent");
      last.open();
      await rest(whole);
      await until(() => listener.ended.length === 4, "its end is announced");
      assert.strictEqual(
        listener.ended.join(),
        "GET /failing 500 500,GET undefined 404 undefined,GET /streaming 200 CALL_ABORTED,GET /streaming 200 undefined",
      );
    },
  },
];

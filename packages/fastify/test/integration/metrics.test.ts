import { Readable } from "node:stream";
import { until } from "@steward/testing";
import type { FastifyInstance } from "fastify";
import t from "tap";
import { from, handler } from "../../src/index.ts";
import { served } from "../app.ts";
import { ask, closed, firstBytes, gate, portOf } from "./client.ts";

/** `http.server.*` of an app: durations as `method route status error.type: count`, and how many are active. */
function requestsOf(app: FastifyInstance): { readonly durations: string[]; readonly active: number } {
  const durations: string[] = [];
  let active = 0;
  for (const { name, attributes, value } of app.steward.metrics()) {
    if (name === "http.server.active_requests") active += Number(value);
    if (name !== "http.server.request.duration" || typeof value === "number") continue;
    const keys = ["http.request.method", "http.route", "http.response.status_code", "error.type"];
    durations.push(`${keys.map((key) => attributes[key] ?? "-").join(" ")}: ${value.count}`);
  }
  return { durations: durations.sort(), active };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

t.test("every request is counted by its route's template and its outcome, with or without needs", async (t) => {
  const held = gate();
  await using client = await served((app) => {
    app.get("/plain/:id", () => "plain");
    app.get(
      "/fails",
      handler({}, () => Promise.reject(new Error("no"))),
    );
    app.get(
      "/held",
      handler({}, async () => held.passed.then(() => "done")),
    );
    app.get(
      "/late",
      handler({ signal: from.signal }, ({ signal }) => aborted(signal), { timeoutMs: 20 }),
    );
    app.get(
      "/stream",
      handler({}, () =>
        Readable.from(
          (async function* () {
            yield "first";
            await held.passed;
            throw Object.assign(new Error("broken"), { code: "BROKEN" });
          })(),
        ),
      ),
    );
  });
  const { app } = client;
  await app.listen({ port: 0 });
  for (const url of ["/plain/1", "/plain/2", "/nowhere", "/fails", "/late"]) await client.get(url);
  const streaming = await ask(portOf(app), "/stream");
  await firstBytes(streaming);
  const going = await ask(portOf(app), "/held");
  await until(() => requestsOf(app).active === 2);
  going.destroy();
  await until(() => requestsOf(app).active === 1);
  held.open();
  await closed(streaming);
  await until(() => requestsOf(app).active === 0);
  t.strictSame(requestsOf(app).durations, [
    "GET - 404 -: 1",
    "GET /fails 500 500: 1",
    "GET /held - CALL_ABORTED: 1",
    "GET /late 504 504: 1",
    "GET /plain/:id 200 -: 2",
    "GET /stream 200 BROKEN: 1",
  ]);
});

t.test("requestMetrics: false adds no series and no hook", async (t) => {
  await using client = await served((app) => app.get("/", () => "hello"), { requestMetrics: false });
  await client.get("/");
  t.strictSame(requestsOf(client.app), { durations: [], active: 0 });
});

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, StewardError, type UnhandledEvent } from "@steward/core";
import { until } from "@steward/testing";
import t from "tap";
import { from, handler, HttpError } from "../src/index.ts";
import { served } from "./app.ts";

t.test("what nobody handled is published with its request, and what is an answer is not", async (t) => {
  const heard: UnhandledEvent[] = [];
  const listen = (event: unknown): void => void heard.push(event as UnhandledEvent); // what is published there
  subscribe(CHANNELS.unhandled, listen);
  t.teardown(() => unsubscribe(CHANNELS.unhandled, listen));
  const fail = (error: Error) => (): never => {
    throw error;
  };
  await using client = await served((app) => {
    app.get("/bug", fail(new TypeError("x is undefined")));
    app.get("/gone", fail(new HttpError(410, "gone")));
    app.get("/down", fail(new StewardError("RESOURCE_UNAVAILABLE", "db: down", { retryable: true })));
    app.get(
      "/task",
      handler({ background: from.background }, ({ background }) => {
        background.add("mail", fail(new Error("no mail")));
        return "ok";
      }),
    );
  });
  for (const path of ["/gone", "/down", "/bug", "/task"])
    await client.get(path, { headers: { "x-request-id": "r-1" } });
  await until(() => heard.length >= 2, "both were published");
  t.match(heard, [
    { source: "request", error: { message: "x is undefined" }, requestId: "r-1" },
    { source: "task", name: "mail", error: { message: "no mail" }, requestId: "r-1" },
  ]);
  t.equal(heard.length, 2);
});

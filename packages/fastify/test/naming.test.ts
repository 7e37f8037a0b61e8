import { resource } from "@steward/core";
import t from "tap";
import { handler } from "../src/index.ts";
import { served } from "./app.ts";

t.test("closing keeps its time, and says what it waits for: requests that run and releases that hang", async (t) => {
  const lines: string[] = [];
  const hangs = resource("hangs", {
    lifetime: "request",
    async *start() {
      yield 1;
      await new Promise(() => {});
    },
  });
  const client = await served(
    (app) => {
      app.get(
        "/released",
        handler({ hangs }, () => "ok"),
      );
      app.get(
        "/runs",
        handler({}, () => new Promise(() => {})),
      );
    },
    { closeTimeoutMs: 200, timeoutMs: 0, logTo: lines },
  );
  await client.get("/released");
  const running = client.get("/runs").catch(() => {});
  await t.rejects(client.app.close(), { code: "STOP_FAILED" });
  void running;
  const said = lines.find((line) => line.includes("closing waits for"));
  t.match(said, "GET /released");
});

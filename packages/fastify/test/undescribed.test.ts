import type { FastifyInstance } from "fastify";
import t from "tap";
import * as v from "valibot";
import { from, handler } from "../src/index.ts";
import { served } from "./app.ts";

t.test("what the document cannot say, because a library gives no JSON schema, is named in the log", async (t) => {
  const openapi = { title: "Videos", version: "1" };
  const logTo: string[] = [];
  const without = from.body("video", v.object({ title: v.string() }));
  const hidden = from.query("secret", v.string(), { inDocument: false });
  const within = from.query("page", { type: "integer" });
  const routes = (app: FastifyInstance): void => {
    app.post(
      "/videos",
      handler({ without, hidden, within }, () => "ok"),
    );
    app.put(
      "/videos",
      handler({ without }, () => "ok"),
    );
  };
  await using client = await served(routes, { openapi, logTo });
  const warnings = (): string[] => logTo.filter((line) => line.includes("no JSON schema: "));
  t.equal(warnings().length, 1);
  t.match(warnings()[0], /no JSON schema: body \\"video\\"; give/);
  t.strictSame((await client.get("/openapi.json")).json().paths["/videos"].put.requestBody.content, {
    "application/json": { schema: {} },
  });
  logTo.length = 0;
  await using _other = await served(
    (app) =>
      app.get(
        "/",
        handler({ within }, () => "ok"),
      ),
    { openapi, logTo },
  );
  t.strictSame(warnings(), []);
});

import { StewardError } from "@steward/core";
import { leakyErrors, leaksIn } from "@steward/testing";
import t from "tap";
import { served } from "./app.ts";

for (const shape of ["problem", "fastapi"] as const)
  t.test(
    `60 errors of handlers: a caller reads a fixed sentence, and nothing that is for operators (${shape})`,
    async (t) => {
      const causes = leakyErrors();
      await using client = await served(
        (app) =>
          app.get<{ Params: { index: string } }>("/:index", (request) => {
            throw causes[Number(request.params.index)]?.make();
          }),
        { errors: { shape } },
      );
      t.ok(causes.length >= 60);
      for (const [index, { name }] of causes.entries()) {
        const { body, headers } = await client.get(`/${index}`);
        t.same(leaksIn(JSON.stringify([body, headers])), [], name);
      }
    },
  );

t.test("what its author marked as public reaches the caller, with its code", async (t) => {
  await using client = await served((app) =>
    app.get("/", () => {
      throw new StewardError("VIDEO_LOCKED", "row 7 is locked by pid 12", {
        publicMessage: "the video is being edited",
      });
    }),
  );
  t.match((await client.get("/")).json(), { status: 500, code: "VIDEO_LOCKED", detail: "the video is being edited" });
});

import { StewardError } from "@steward/core";
import { leakyErrors, leaksIn } from "@steward/testing";
import t from "tap";
import { handler, HttpError } from "../src/index.ts";
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

const SECRET = "SELECT password FROM users";

function refuses(): never {
  throw new Error(SECRET);
}

t.test("an error whose details are no JSON is a failure of ours, and says nothing of what went wrong", async (t) => {
  const circle: Record<string, unknown> = {};
  circle["circle"] = circle;
  const details: Record<string, unknown> = {
    throws: { toJSON: refuses },
    getter: Object.defineProperty({}, "row", { get: refuses, enumerable: true }),
    bigint: { row: 1n },
    circle,
  };
  const lines: string[] = [];
  for (const shape of ["problem", "fastapi"] as const) {
    await using client = await served(
      (app) => {
        app.get<{ Params: { name: string } }>("/detail/:name", ({ params }) => {
          throw new HttpError(409, details[params.name]);
        });
        app.get<{ Params: { name: string } }>("/member/:name", ({ params }) => {
          throw new HttpError(409, "taken", { members: { by: details[params.name] } });
        });
      },
      { errors: { shape }, logTo: lines },
    );
    for (const name of Object.keys(details))
      for (const url of [`/detail/${name}`, `/member/${name}`]) {
        const answer = await client.get(url);
        t.equal(answer.statusCode, 500, url);
        t.match(answer.json(), { detail: "something went wrong on our side" }, url);
        t.notMatch(answer.body, /SELECT|BigInt|circular|JSON/, url);
      }
  }
  t.ok(
    lines.some((line) => line.includes(SECRET)),
    "operators read it",
  );
});

t.test("what fails again while an error is sent is answered without its text", async (t) => {
  const text = "password of ann";
  await using client = await served((app) => {
    const fail = (): never => {
      throw new HttpError(409, "taken");
    };
    const onSend = {
      error: async () => refuses(),
      text: () => Promise.reject(text as never), // what a library may throw
      called: (_request: unknown, _reply: unknown, _payload: unknown, done: (error: Error) => void) =>
        done(new Error(SECRET)),
    };
    for (const [name, hook] of Object.entries(onSend))
      for (const [kind, answer] of [
        ["ok", () => "ok"],
        ["fails", fail],
      ] as const)
        app.get(`/${kind}/${name}`, { onSend: hook as never }, handler({}, answer));
    app.get("/ok/serialiser", { preSerialization: async () => refuses() }, () => ({ a: 1 }));
    app.get("/ok/header", (_request, reply) => reply.header("x-name", "é\n" + SECRET).send("ok"));
    app.get("/ok/late", { onSend: async (_request, reply) => void reply.header("x-name", "é\n" + SECRET) }, () => "ok");
  });
  for (const url of [
    "/ok/error",
    "/ok/text",
    "/ok/called",
    "/ok/serialiser",
    "/ok/header",
    "/ok/late",
    "/fails/error",
    "/fails/text",
    "/fails/called",
  ]) {
    const answer = await client.get(url, { headers: { "x-request-id": "a-request" } });
    t.equal(answer.statusCode, 500, url);
    t.match(answer.json(), { status: 500, detail: "something went wrong on our side", requestId: "a-request" }, url);
    t.match(answer.headers, { "content-type": /^application\/problem\+json/, "x-request-id": "a-request" }, url);
    t.equal(Number(answer.headers["content-length"]), Buffer.byteLength(answer.body), url);
    t.notMatch(JSON.stringify([answer.body, answer.headers]), /SELECT|ann/, url);
  }
  t.equal((await client.inject({ method: "HEAD", url: "/ok/error" })).body, "");
});

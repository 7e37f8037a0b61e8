import { Readable } from "node:stream";
import { resource } from "@steward/core";
import type { FastifyReply, RouteHandlerMethod } from "fastify";
import t from "tap";
import { from, handler, HttpError } from "../src/index.ts";
import { logged, served, turns } from "./app.ts";

t.test(
  "G26: what cannot be serialised is not committed: the generator sees the error, and the client is 500",
  async (t) => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const results: Record<string, () => unknown> = {
      bigint: () => ({ a: 1n }),
      circular: () => circular,
      fitting: () => ({ a: "1" }),
    };
    for (const [name, result] of Object.entries(results)) {
      for (const wait of [false, true]) {
        const log: string[] = [];
        await using client = await served((app) =>
          app.get(
            "/",
            handler({ tx: committing(log) }, () => (wait ? Promise.resolve().then(result) : result())),
          ),
        );
        const answer = await client.get("/");
        await turns();
        t.equal(answer.statusCode, name === "fitting" ? 200 : 500, name);
        t.strictSame(log, [name === "fitting" ? "commit" : "rollback"], name);
      }
    }
  },
);

t.test("a hook that fails after the handler rolls back too, and so does a schema that does not fit", async (t) => {
  const log: string[] = [];
  await using client = await served((app) => {
    app.get(
      "/hook",
      {
        preSerialization: async () => {
          throw new Error("hook");
        },
      },
      handler({ tx: committing(log) }, async () => ({ a: 1 })),
    );
    app.get(
      "/schema",
      { schema: { response: { 200: { type: "object", required: ["b"], properties: { b: { type: "string" } } } } } },
      handler({ tx: committing(log) }, async () => ({ a: 1 })),
    );
  });
  t.equal((await client.get("/hook")).statusCode, 500);
  t.equal((await client.get("/schema")).statusCode, 500);
  await turns();
  t.strictSame(log, ["rollback", "rollback"]);
});

t.test("a commit that fails is what the client learns", async (t) => {
  const tx = resource("tx", {
    lifetime: "handler",
    async *start() {
      yield 1;
      throw new HttpError(409, "somebody was first");
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ tx }, () => ({ a: 1 })),
    ),
  );
  const answer = await client.get("/");
  t.strictSame([answer.statusCode, answer.json().detail], [409, "somebody was first"]);
});

t.test("a handler that has not answered by its deadline is 504; what it holds goes when it has ended", async (t) => {
  const log: string[] = [];
  let finish = (): void => {};
  const lines: string[] = [];
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ held: logged(log, "held", "request") }, async () => {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          return "late";
        }),
      ),
    { timeoutMs: 20, logTo: lines },
  );
  const answer = await client.get("/");
  t.match(answer.json(), { status: 504, code: "DEADLINE_EXCEEDED" });
  t.strictSame(log, ["held+"]);
  finish();
  await turns();
  t.match(log, ["held+", /^held saw/, "held-"]);
  t.equal(client.app.steward.stats().openRequests, 0);
  t.notMatch(lines.join(""), "already been sent");
});

t.test("a handler that answers from a callback and never does is 504 too", async (t) => {
  await using client = await served(
    (app) => {
      app.get(
        "/parameter",
        handler({}, (_values, _request, _reply) => undefined),
      );
      app.get(
        "/need",
        handler({ reply: from.reply }, () => undefined),
      );
    },
    { timeoutMs: 20 },
  );
  t.equal((await client.get("/parameter")).statusCode, 504);
  t.equal((await client.get("/need")).statusCode, 504);
});

t.test(
  "a hook that keeps the answer is held to the deadline: the answer is the 504, and what is late goes nowhere",
  async (t) => {
    const log: string[] = [];
    const late: (() => void)[] = [];
    const kept = (): Promise<void> => new Promise<void>((resolve) => void late.push(resolve));
    type Done = (error: null, payload: unknown) => void;
    const hooks: Record<string, object> = {
      async: { onSend: kept },
      called: {
        onSend: (_request: unknown, _reply: unknown, payload: unknown, done: Done) =>
          void late.push(() => done(null, payload)),
      },
      serialised: { preSerialization: kept },
      once: {
        onSend: async (_request: unknown, { statusCode }: FastifyReply) => (statusCode === 504 ? undefined : kept()),
      },
    };
    const kinds: Record<string, RouteHandlerMethod> = {
      now: handler({}, () => ({ a: "success" })),
      late: handler({}, async () => ({ a: "success" })),
      sent: handler({}, (_values, _request, reply) => reply.send({ a: "success" })),
      held: handler({ held: logged(log, "held", "request") }, () => ({ a: "success" })),
      tx: handler({ tx: logged(log, "tx", "handler") }, () => ({ a: "success" })),
      fails: handler({ held: logged(log, "held", "request") }, () => Promise.reject(new HttpError(409, "success"))),
      stream: handler({}, () => Readable.from(["success"])),
      response: handler({}, () => new Response("success")),
    };
    await using client = await served(
      (app) => {
        for (const [hook, options] of Object.entries(hooks))
          for (const [kind, answer] of Object.entries(kinds)) app.get(`/${kind}/${hook}`, options, answer);
      },
      { timeoutMs: 20 },
    );
    for (const hook of Object.keys(hooks))
      for (const kind of Object.keys(kinds)) {
        if (hook === "serialised" && (kind === "stream" || kind === "response")) continue; // nothing is serialised
        const url = `/${kind}/${hook}`;
        const answer = await client.get(url);
        t.match(answer.json(), { status: 504, code: "DEADLINE_EXCEEDED" }, url);
        t.equal(answer.statusCode, 504, url);
        t.notMatch(answer.body, "success", url);
        t.match(answer.headers, { "content-type": /problem\+json/, "x-request-id": /./ }, url);
        await turns();
        t.equal(client.app.steward.stats().openRequests, 0, `${url}: what it held is released`);
        for (const end of late.splice(0)) end(); // what is thrown here would end the process
        await turns();
      }
    t.equal(log.filter((line) => line.endsWith("+")).length, log.filter((line) => line.endsWith("-")).length);
  },
);

t.test(
  "a handler without the reply that gives nothing is answered with nothing, whether it waits or not",
  async (t) => {
    await using client = await served((app) => {
      app.get(
        "/sync",
        handler({}, () => undefined),
      );
      app.get(
        "/async",
        handler({}, async () => undefined),
      );
    });
    for (const url of ["/sync", "/async"]) {
      const answer = await client.get(url);
      t.strictSame([answer.statusCode, answer.body], [200, ""], url);
    }
  },
);

t.test("S04: dependencies see the stream's own error, whatever kind of stream it is", async (t) => {
  const kinds = {
    web: (parts: AsyncIterable<Uint8Array>) => ReadableStream.from(parts),
    response: (parts: AsyncIterable<Uint8Array>) => new Response(ReadableStream.from(parts)),
    iterable: (parts: AsyncIterable<Uint8Array>) => parts,
  };
  for (const [name, wrap] of Object.entries(kinds)) {
    const log: string[] = [];
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ held: logged(log, "held", "request") }, () =>
          wrap(
            (async function* () {
              yield Buffer.from("one");
              throw new Error("mid");
            })(),
          ),
        ),
      ),
    );
    await client.get("/").catch(() => {});
    await turns(20);
    t.strictSame(log, ["held+", "held saw mid", "held-"], name);
  }
});

function committing(log: string[]) {
  return resource("tx", {
    lifetime: "handler",
    async *start() {
      try {
        yield 1;
        log.push("commit");
      } catch (error) {
        log.push("rollback");
        throw error;
      }
    },
  });
}

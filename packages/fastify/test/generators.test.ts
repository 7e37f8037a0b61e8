import { afterReply, currentContext, generator, resource } from "@steward/core";
import t from "tap";
import { from, handler, HttpError } from "../src/index.ts";
import { got, logged, noteHead, served, turns } from "./app.ts";

t.test("G02, G05: a handler's generator ends before the reply is sent, a request's after it", async (t) => {
  const log: string[] = [];
  await using client = await served((app) => {
    noteHead(app, log);
    app.get(
      "/",
      handler({ req: logged(log, "req", "request"), fn: logged(log, "fn", "handler") }, () => `${log.push("ep")}`),
    );
  });
  await client.get("/");
  await turns();
  t.strictSame(log, ["req+", "fn+", "ep", "fn-", "sent", "req-"]);
});

t.test("G04: what a generator needs is still there when it ends", async (t) => {
  const log: string[] = [];
  const a = resource("a", {
    lifetime: "request",
    async *start() {
      const state = { text: "started a" };
      yield state;
      state.text = "finished a";
    },
  });
  const b = resource("b", {
    lifetime: "request",
    needs: { a },
    async *start({ a }) {
      yield 1;
      log.push(`finished b with a: ${a.text}`);
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ b }, () => "ok"),
    ),
  );
  await client.get("/");
  await turns();
  t.strictSame(log, ["finished b with a: started a"]);
});

t.test("G06: a handler's generator may need a request's", async (t) => {
  const log: string[] = [];
  const req = logged(log, "req", "request");
  const fn = resource("fn", {
    lifetime: "handler",
    needs: { req },
    async *start() {
      log.push("fn+");
      yield 1;
      log.push("fn-");
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ fn }, () => `${log.push("ep")}`),
    ),
  );
  await client.get("/");
  await turns();
  t.strictSame(log, ["req+", "fn+", "ep", "fn-", "req-"]);
});

t.test(
  "G07, G08: what lives for the request cannot need what lives for the handler: refused before requests come",
  async (t) => {
    const fn = resource("fn", { lifetime: "handler", start: () => 1 });
    const needs = { fn } as never; // the compiler refuses it too, see types/bad
    const broken = resource("broken", {
      lifetime: "request",
      needs,
      async *start() {
        yield 1;
      },
    });
    await t.rejects(
      served((app) =>
        app.get(
          "/",
          handler({ broken }, () => "ok"),
        ),
      ),
      { code: "GRAPH_CAPTIVE", message: /"broken": a request resource cannot need 'fn': it lives shorter/ },
    );
  },
);

t.test("G11, G13: generators of both lifetimes see the handler's error, before the client is answered", async (t) => {
  const log: string[] = [];
  await using client = await served(
    (app) => {
      app.addHook("onError", async () => void log.push("onError"));
      app.get(
        "/",
        handler({ req: logged(log, "req", "request"), fn: logged(log, "fn", "handler") }, () => {
          throw new HttpError(404, "nf");
        }),
      );
    },
    { errors: { shape: "fastapi" } },
  );
  const answer = await client.get("/");
  t.strictSame([answer.statusCode, answer.json()], [404, { detail: "nf" }]);
  t.strictSame(log, ["req+", "fn+", "fn saw nf", "fn-", "req saw nf", "req-", "onError"]);
});

t.test("G12: cleanup runs before the app's own error handler, which answers", async (t) => {
  const log: string[] = [];
  class Own extends Error {}
  await using client = await served((app) => {
    app.setErrorHandler((error, _request, reply) => {
      log.push(error instanceof Own ? "handler" : "other");
      return reply.code(418).send("handled");
    });
    app.get(
      "/",
      handler({ a: logged(log, "a", "request") }, () => {
        throw new Own("own");
      }),
    );
  });
  const answer = await client.get("/");
  t.strictSame([answer.statusCode, answer.body], [418, "handled"]);
  t.strictSame(log, ["a+", "a saw own", "a-", "handler"]);
});

t.test("G14, G15: a generator may make another error of the handler's", async (t) => {
  const turn = (lifetime: "request" | "handler") =>
    resource("turns", {
      lifetime,
      async *start() {
        try {
          yield 1;
        } catch (error) {
          throw new HttpError(418, "replaced", { cause: error });
        }
      },
    });
  await using client = await served(
    (app) => {
      for (const lifetime of ["request", "handler"] as const) {
        app.get(
          `/${lifetime}`,
          handler({ turn: turn(lifetime) }, () => {
            throw new TypeError("first");
          }),
        );
      }
    },
    { errors: { shape: "fastapi" } },
  );
  for (const lifetime of ["request", "handler"]) {
    const answer = await client.get(`/${lifetime}`);
    t.strictSame([answer.statusCode, answer.json()], [418, { detail: "replaced" }]);
  }
});

const swallows = resource("swallows", {
  lifetime: "request",
  async *start() {
    try {
      yield 1;
    } catch {
      // nothing: that is the mistake
    }
  },
});

t.test(
  "G16, G17: an error that a generator swallows is a 500, with the error as the cause (deviation: FastAPI loses it)",
  async (t) => {
    let seen: unknown;
    await using client = await served((app) => {
      app.addHook("onError", async (_request, _reply, error) => void (seen = error));
      app.get(
        "/",
        handler({ swallows }, () => {
          throw new TypeError("lost?");
        }),
      );
    });
    t.equal((await client.get("/")).statusCode, 500);
    t.match(seen, { code: "GENERATOR_SWALLOWED_ERROR", cause: { message: "lost?" } });
  },
);

t.test(
  "G18: behind a generator that swallows, the outer ones end as if all were well; the client gets 500",
  async (t) => {
    const log: string[] = [];
    const a = logged(log, "a", "request");
    const b = resource("b", {
      lifetime: "request",
      needs: { a },
      async *start() {
        try {
          yield 1;
        } catch {
          log.push("b swallowed");
        }
      },
    });
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ b }, () => {
          throw new Error("x");
        }),
      ),
    );
    t.equal((await client.get("/")).statusCode, 500);
    t.strictSame(log, ["a+", "b swallowed", "a-"]);
  },
);

t.test(
  "G20, G21: cleanup that fails after the reply is logged; a commit that fails before it is the answer",
  async (t) => {
    const failing = <const L extends "request" | "handler">(lifetime: L) =>
      resource("failing", {
        lifetime,
        async *start() {
          yield 1;
          throw new HttpError(503, "late");
        },
      });
    await using client = await served((app) => {
      app.get(
        "/request",
        handler({ failing: failing("request") }, () => "ok"),
      );
      app.get(
        "/handler",
        handler({ failing: failing("handler") }, () => "ok"),
      );
    });
    t.equal((await client.get("/request")).statusCode, 200);
    t.equal((await client.get("/handler")).statusCode, 503);
    await turns();
    t.equal(client.app.steward.stats().openRequests, 0);
  },
);

t.test("G22: every cleanup runs, and the outer ones see the error of an inner one", async (t) => {
  const log: string[] = [];
  const a = logged(log, "a", "handler");
  const b = resource("b", {
    lifetime: "handler",
    needs: { a },
    async *start() {
      yield 1;
      throw new Error("b failed");
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ b, c: logged(log, "c", "handler") }, () => "ok"),
    ),
  );
  t.equal((await client.get("/")).statusCode, 500);
  t.strictSame(log, ["a+", "c+", "c-", "a saw b failed", "a-"]);
});

t.test("G23: what fails while it is entered ends what was entered before it, and enters nothing more", async (t) => {
  const log: string[] = [];
  const b = resource("b", {
    lifetime: "request",
    async *start() {
      if (log.length > 0) throw new HttpError(409, "busy");
      yield 1;
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: logged(log, "a", "request"), b, c: logged(log, "c", "request") }, () => `${log.push("ep")}`),
    ),
  );
  t.equal((await client.get("/")).statusCode, 409);
  t.strictSame(log, ["a+", "a saw busy", "a-"]);
});

t.test("G28: a generator that does not yield is a 500", async (t) => {
  const none = resource("none", { lifetime: "request", async *start(): AsyncGenerator<number> {} });
  let seen: unknown;
  await using client = await served((app) => {
    app.addHook("onError", async (_request, _reply, error) => void (seen = error));
    app.get(
      "/",
      handler({ none }, () => "ok"),
    );
  });
  t.equal((await client.get("/")).statusCode, 500);
  t.match(seen, { code: "GENERATOR_DID_NOT_YIELD" });
});

t.test("G29: plain and async generators under plain and async handlers behave alike", async (t) => {
  const log: string[] = [];
  const plain = resource("plain", {
    lifetime: "request",
    *start() {
      try {
        yield 1;
      } catch (error) {
        log.push(`plain saw ${(error as Error).message}`);
        throw error;
      } finally {
        log.push("plain-");
      }
    },
  });
  const later = logged(log, "later", "request");
  await using client = await served((app) => {
    for (const needs of [{ plain }, { later }] as const) {
      const name = Object.keys(needs)[0];
      app.get(
        `/${name}/plain`,
        handler(needs as { plain: typeof plain }, () => "ok"),
      );
      app.get(
        `/${name}/async`,
        handler(needs as { plain: typeof plain }, async () => "ok"),
      );
      app.get(
        `/${name}/throws`,
        handler(needs as { plain: typeof plain }, () => {
          throw new Error("x");
        }),
      );
      app.get(
        `/${name}/rejects`,
        handler(needs as { plain: typeof plain }, async () => {
          throw new Error("x");
        }),
      );
    }
  });
  for (const name of ["plain", "later"]) {
    for (const [end, expected] of [
      ["plain", [`${name}-`]],
      ["async", [`${name}-`]],
      ["throws", [`${name} saw x`, `${name}-`]],
      ["rejects", [`${name} saw x`, `${name}-`]],
    ] as const) {
      log.length = 0;
      await client.get(`/${name}/${end}`);
      await turns();
      t.strictSame(
        log.filter((line) => !line.endsWith("+")),
        expected,
        `${name}, ${end}`,
      );
    }
  }
});

t.test("G31: a background task that cleanup adds is run too (deviation: FastAPI loses it)", async (t) => {
  const log: string[] = [];
  const late = resource("late", {
    lifetime: "request",
    needs: { background: from.background },
    async *start({ background }) {
      yield 1;
      background.add("late", () => log.push("late task"));
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ late }, () => "ok"),
    ),
  );
  await client.get("/");
  await turns(10);
  t.strictSame(log, ["late task"]);
});

t.test(
  "G32: the request's context is the same in both halves of a generator; afterwards it has no deadline any more",
  async (t) => {
    const seen: (string | undefined)[] = [];
    const note = (): unknown => seen.push(`${currentContext()?.requestId} ${currentContext()?.deadline === undefined}`);
    const halves = <const L extends "request" | "handler">(lifetime: L) =>
      resource(lifetime, {
        lifetime,
        async *start() {
          note();
          await Promise.resolve();
          yield 1;
          note();
        },
      });
    const needs = { handler: halves("handler"), request: halves("request"), background: from.background };
    await using client = await served((app) =>
      app.get(
        "/",
        handler(needs, ({ background }) => {
          background.add("task", note);
          note();
          return "ok";
        }),
      ),
    );
    await client.get("/", { headers: { "x-request-id": "mine" } });
    await turns(10);
    t.strictSame(seen, ["mine false", "mine false", "mine false", "mine false", "mine true", "mine true"]);
  },
);

t.test("a handler's generator commits before the reply and releases after it, when it yields afterReply", async (t) => {
  const log: string[] = [];
  const tx = resource("tx", {
    lifetime: "handler",
    async *start() {
      try {
        yield 1;
        log.push("commit");
        yield afterReply;
      } finally {
        log.push("release");
      }
    },
  });
  await using client = await served((app) => {
    noteHead(app, log);
    app.get(
      "/",
      handler({ tx }, () => "ok"),
    );
  });
  await client.get("/");
  await turns();
  t.strictSame(log, ["commit", "sent", "release"]);
});

t.test(
  "a handler that replies from a callback commits when it sends; a commit that fails then is the answer",
  async (t) => {
    const log: string[] = [];
    const tx = (fails: boolean) =>
      resource("tx", {
        lifetime: "handler",
        async *start() {
          yield 1;
          log.push("commit");
          if (fails) throw new HttpError(503, "no");
        },
      });
    await using client = await served((app) => {
      for (const fails of [true, false]) {
        app.get(
          `/${fails}`,
          handler({ tx: tx(fails), reply: from.reply }, ({ reply }) => {
            setImmediate(() => {
              log.push("sends");
              reply.send("sent");
            });
          }),
        );
      }
    });
    const good = await client.get("/false");
    t.strictSame([good.statusCode, good.body], [200, "sent"]);
    t.strictSame(log.splice(0), ["sends", "commit"]);
    t.equal((await client.get("/true")).statusCode, 503);
    t.strictSame(log, ["sends", "commit"]);
    await turns();
    t.equal(client.app.steward.stats().openRequests, 0);
  },
);

t.test("a wrapped generator function is one where it says so", async (t) => {
  const log: string[] = [];
  const inner = async function* () {
    yield "inner";
    log.push("left");
  };
  const wrapped = resource("wrapped", { lifetime: "request", start: generator(() => inner()) });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ wrapped }, ({ wrapped }) => ({ wrapped })),
    ),
  );
  t.strictSame(await got(client), { wrapped: "inner" });
  await turns();
  t.strictSame(log, ["left"]);
});

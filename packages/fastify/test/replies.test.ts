import { Readable } from "node:stream";
import { resource } from "@steward/core";
import t from "tap";
import { from, handler, HttpError } from "../src/index.ts";
import { logged, served, turns } from "./app.ts";

/** A session that knows whether it is open. */
function session<const L extends "request" | "handler">(lifetime: L, log: string[] = []) {
  return resource("session", {
    lifetime,
    async *start() {
      const own = { open: true };
      yield own;
      own.open = false;
      log.push("closed");
    },
  });
}

t.test("S01: what lives for the request is there until the last byte of a stream", async (t) => {
  const log: string[] = [];
  async function* chunks() {
    for (const name of ["chunk1", "chunk2"]) {
      log.push(name);
      yield name;
      await Promise.resolve();
    }
  }
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: logged(log, "a", "request") }, () => {
        log.push("ep");
        return Readable.from(chunks());
      }),
    ),
  );
  t.equal((await client.get("/")).body, "chunk1chunk2");
  await turns();
  t.strictSame(log, ["a+", "ep", "chunk1", "chunk2", "a-"]);
});

t.test(
  "S02, S03, G09: what lives for the handler is closed before the first byte; both may be had at once",
  async (t) => {
    const fn = session("handler");
    const reads = resource("reads", { lifetime: "handler", needs: { fn }, start: ({ fn }) => fn });
    await using client = await served((app) => {
      app.get(
        "/",
        handler({ fn, req: session("request") }, ({ fn, req }) => {
          async function* late() {
            yield JSON.stringify({ fn: fn.open, req: req.open });
          }
          return Readable.from(late());
        }),
      );
      app.get(
        "/through",
        handler({ reads }, ({ reads }) => {
          async function* late() {
            yield JSON.stringify({ open: reads.open });
          }
          return Readable.from(late());
        }),
      );
    });
    t.strictSame((await client.get("/")).json(), { fn: false, req: true });
    t.strictSame((await client.get("/through")).json(), { open: false });
  },
);

t.test(
  "S05: a stream that fails before its first byte is an error, not an empty 200 (deviation); dependencies see it",
  async (t) => {
    const log: string[] = [];
    const read = (open: boolean): string => {
      if (!open) throw new Error("the session is closed");
      return "row";
    };
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ a: logged(log, "a", "request") }, () =>
          Readable.from(
            (async function* () {
              yield read(false);
            })(),
          ),
        ),
      ),
    );
    t.equal((await client.get("/")).statusCode, 500);
    await turns();
    t.strictSame(log, ["a+", "a saw the session is closed", "a-"]);
  },
);

t.test("S04: a stream that breaks off midway is an error for what lives for the request", async (t) => {
  const log: string[] = [];
  const more = (count: number): string => {
    if (count === 2) throw new Error("the rows end");
    return "row";
  };
  async function* rows() {
    for (let i = 0; ; i++) {
      yield more(i);
      await Promise.resolve();
    }
  }
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: logged(log, "a", "request") }, () => Readable.from(rows(), { highWaterMark: 1 })),
    ),
  );
  await client.get("/").catch(() => {}); // the connection breaks off
  await turns(10);
  t.strictSame(log, ["a+", "a saw the rows end", "a-"]);
  t.equal(client.app.steward.stats().openRequests, 0);
});

t.test(
  "B01, B04: tasks run in the order in which they were added, after the reply and before what they use goes",
  async (t) => {
    const log: string[] = [];
    const adds = resource("adds", {
      lifetime: "request",
      needs: { background: from.background },
      async *start({ background }) {
        background.add("first", () => log.push("first"));
        yield 1;
        log.push("left");
      },
    });
    await using client = await served((app) => {
      app.addHook("onSend", async () => void log.push("sent"));
      app.get(
        "/",
        handler({ adds, background: from.background }, ({ background }) => {
          background.add("second", async () => void log.push("second"));
          return "ok";
        }),
      );
    });
    await client.get("/");
    await turns(10);
    t.strictSame(log, ["sent", "first", "second", "left"]);
  },
);

t.test(
  "B02: a task that fails stops none of those behind it (deviation); the request's resources see its error",
  async (t) => {
    const log: string[] = [];
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ a: logged(log, "a", "request"), background: from.background }, ({ background }) => {
          background.add("first", () => {
            throw new Error("task");
          });
          background.add("second", () => log.push("second"));
          return "ok";
        }),
      ),
    );
    t.equal((await client.get("/")).statusCode, 200);
    await turns(10);
    t.strictSame(log, ["a+", "second", "a saw task", "a-"]);
    t.match(client.app.steward.stats().background, { pending: 0, done: 1, failed: 1, lost: 0 });
  },
);

t.test("B03: an own reply does not lose the tasks of dependencies (deviation)", async (t) => {
  const log: string[] = [];
  const adds = resource("adds", {
    lifetime: "request",
    needs: { background: from.background },
    start: ({ background }) => background.add("task", () => log.push("task")),
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ adds }, (_values, _request, reply) => reply.send("own")),
    ),
  );
  t.equal((await client.get("/")).body, "own");
  await turns(10);
  t.strictSame(log, ["task"]);
});

t.test("B05: tasks of a request that fails are not run", async (t) => {
  const log: string[] = [];
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ background: from.background }, ({ background }) => {
        background.add("task", () => log.push("task"));
        throw new HttpError(400, "no");
      }),
    ),
  );
  t.equal((await client.get("/")).statusCode, 400);
  await turns(10);
  t.strictSame(log, []);
  t.match(client.app.steward.stats().background, { pending: 0, done: 0 });
});

t.test("B06: a task finds open what lives for the request, and closed what lives for the handler", async (t) => {
  const log: string[] = [];
  await using client = await served((app) =>
    app.get(
      "/",
      handler(
        { fn: session("handler"), req: session("request"), background: from.background },
        ({ fn, req, background }) => {
          background.add("task", () => log.push(`fn ${fn.open}, req ${req.open}`));
          return "ok";
        },
      ),
    ),
  );
  await client.get("/");
  await turns(10);
  t.strictSame(log, ["fn false, req true"]);
});

t.test("a task may have needs of its own, in a scope of its own", async (t) => {
  const log: string[] = [];
  const mailer = resource("mailer", { start: () => ({ send: (to: string) => log.push(`mail to ${to}`) }) });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ background: from.background }, ({ background }) => {
          background.add("mail", { mailer, own: session("request", log) }, ({ mailer }) => mailer.send("ann"));
          return "ok";
        }),
      ),
    { roots: [mailer] },
  );
  await client.get("/");
  await turns(10);
  t.strictSame(log, ["mail to ann", "closed"]);
});

t.test("tasks that run when the app closes are waited for; those that do not end are reported as lost", async (t) => {
  const log: string[] = [];
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const client = await served(
    (app) =>
      app.get(
        "/:kind",
        handler({ background: from.background }, ({ background }, request) => {
          const { kind } = request.params as { kind: string };
          background.add(kind, async () => {
            await (kind === "held" ? held : new Promise(() => {}));
            log.push(kind);
          });
          return "ok";
        }),
      ),
    { closeTimeoutMs: 50 },
  );
  await client.get("/held");
  const { app } = client;
  const closed = app.close();
  release();
  await closed;
  t.strictSame(log, ["held"]);
  const lines: string[] = [];
  const stuck = await served(
    (other) =>
      other.get(
        "/",
        handler({ background: from.background }, ({ background }) => {
          background.add("stuck", () => new Promise(() => {}));
          return "ok";
        }),
      ),
    { closeTimeoutMs: 20, logTo: lines },
  );
  await stuck.get("/");
  await stuck.app.close().catch(() => {});
  t.equal(stuck.app.steward.stats().background.lost, 1);
  t.match(
    lines
      .map((line) => JSON.parse(line) as unknown)
      .find((line) => (line as { msg: string }).msg === "background tasks were lost"),
    { err: { code: "BACKGROUND_LOST", message: /stuck/ } },
  );
});

t.test(
  "R02: a reply of the handler's own keeps the headers that dependencies set (deviation: FastAPI drops them)",
  async (t) => {
    const sets = resource("sets", {
      lifetime: "request",
      needs: { reply: from.reply },
      start: ({ reply }) => void reply.header("x-dep", "1"),
    });
    await using client = await served((app) =>
      app.get(
        "/",
        handler({ sets }, (_values, _request, reply) => reply.code(201).send("own")),
      ),
    );
    const answer = await client.get("/");
    t.strictSame([answer.statusCode, answer.headers["x-dep"]], [201, "1"]);
  },
);

t.test("R04: a dependency's status beats that of the route's hook, and the handler's beats both", async (t) => {
  const accepted = resource("accepted", {
    lifetime: "request",
    needs: { reply: from.reply },
    start: ({ reply }) => void reply.code(202),
  });
  await using client = await served((app) => {
    const preHandler = async (_request: unknown, reply: { code(status: number): unknown }) => void reply.code(201);
    app.get(
      "/dep",
      { preHandler },
      handler({ accepted }, () => "ok"),
    );
    app.get(
      "/handler",
      { preHandler },
      handler({ accepted, reply: from.reply }, ({ reply }) => {
        reply.code(203);
        return "ok";
      }),
    );
  });
  t.equal((await client.get("/dep")).statusCode, 202);
  t.equal((await client.get("/handler")).statusCode, 203);
});

t.test("R05: dependencies of dependencies may all set headers", async (t) => {
  const first = resource("first", {
    lifetime: "request",
    needs: { reply: from.reply },
    start: ({ reply }) => void reply.header("x-one", "1"),
  });
  const second = resource("second", {
    lifetime: "request",
    needs: { first, reply: from.reply },
    start: ({ reply }) => void reply.header("x-two", "2"),
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ second }, () => "ok"),
    ),
  );
  t.match((await client.get("/")).headers, { "x-one": "1", "x-two": "2" });
});

t.test("an answer whose commit ends after the deadline is not sent behind the 504", async (t) => {
  let commit = (): void => {};
  const tx = resource("tx", {
    lifetime: "handler",
    async *start() {
      yield "tx";
      await new Promise<void>((resolve) => (commit = resolve));
    },
  });
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ tx }, () => "late"),
      ),
    { timeoutMs: 50 },
  );
  t.equal((await client.get("/")).statusCode, 504);
  commit();
  await turns(10); // what is thrown here would end the process
  t.equal(client.app.steward.stats().openRequests, 0);
});

t.test("of two answers of one handler the first is sent, and the second is named in the log", async (t) => {
  const logTo: string[] = [];
  await using client = await served(
    (app) => {
      const needs = { tx: logged([], "tx", "handler"), reply: from.reply };
      app.get(
        "/sent",
        handler(needs, ({ reply }) => reply.send("first").send("second")),
      );
      app.get(
        "/given",
        handler(needs, async ({ reply }) => {
          reply.send("first");
          return "second";
        }),
      );
    },
    { logTo },
  );
  for (const path of ["/sent", "/given"]) {
    t.equal((await client.get(path)).body, "first", path);
    await turns(10); // what is thrown here would end the process
  }
  t.equal(logTo.filter((line) => line.includes("Reply was already sent")).length, 2);
});

import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { fastify, type FastifyInstance } from "fastify";
import t from "tap";
import { container, type Running } from "@steward/container";
import { afterReply, currentContext, resource } from "@steward/core";
import { Entrance, withNeeds } from "../src/glue.ts";

/** An app with one route that needs a transaction and a session of a request; `log` is what happened, in order. */
class Setup implements AsyncDisposable {
  readonly log: string[] = [];
  readonly app: FastifyInstance = fastify();
  readonly running: Running;
  readonly way = new Entrance();

  static async make(handler: (setup: Setup) => unknown, commit: () => void = () => {}): Promise<Setup> {
    return new Setup(await container([]).start(), handler, commit);
  }

  private constructor(running: Running, handler: (setup: Setup) => unknown, commit: () => void) {
    this.running = running;
    this.way.running = running;
    const { log } = this;
    const session = resource("session", {
      lifetime: "request",
      async *start() {
        log.push("session opens");
        try {
          yield "session";
          log.push("session closes");
        } catch (error) {
          log.push(`session closes after: ${String(error)}`);
          throw error;
        }
      },
    });
    const tx = resource("tx", {
      lifetime: "handler",
      needs: { session },
      async *start() {
        try {
          yield "tx";
          commit();
          log.push("commit");
        } catch (error) {
          log.push(`rollback after: ${String(error)}`);
          throw error;
        }
        yield afterReply;
        log.push("tx released");
      },
    });
    this.app.addHook("onSend", async () => void log.push("reply"));
    this.app.get(
      "/",
      withNeeds(this.way, { tx }, () => handler(this)),
    );
  }

  /** Waits until every scope has ended: a drain does. */
  async ended(): Promise<readonly string[]> {
    await this.running.drain();
    return this.log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
    await this.running.stop();
  }
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((r) => (resolve = r));
  return { promise, resolve };
}

t.test("what commits does so before the reply, what is released goes after it", async (t) => {
  await using setup = await Setup.make(({ log }) => (log.push("handler"), { fine: true }));
  t.strictSame((await setup.app.inject("/")).json(), { fine: true });
  t.strictSame(await setup.ended(), ["session opens", "handler", "commit", "reply", "tx released", "session closes"]);
});

t.test("a handler's error is thrown into what it used, and answered", async (t) => {
  await using setup = await Setup.make(() => {
    throw new Error("no");
  });
  t.equal((await setup.app.inject("/")).statusCode, 500);
  t.strictSame(await setup.ended(), [
    "session opens",
    "rollback after: Error: no",
    "reply",
    "session closes after: Error: no",
  ]);
});

t.test("a commit that fails is what the client learns", async (t) => {
  await using setup = await Setup.make(
    () => ({ fine: true }),
    () => {
      throw new Error("conflict");
    },
  );
  const response = await setup.app.inject("/");
  t.equal(response.statusCode, 500);
  t.match(response.body, /conflict/);
});

t.test("a stream is sent to its end before the scope ends", async (t) => {
  await using setup = await Setup.make(({ log }) =>
    Readable.from(
      (async function* () {
        yield "a";
        await new Promise((resolve) => setImmediate(resolve));
        log.push("last chunk");
        yield "b";
      })(),
    ),
  );
  t.equal((await setup.app.inject("/")).body, "ab");
  const log = await setup.ended();
  t.ok(log.indexOf("last chunk") < log.indexOf("session closes"), log.join(", "));
});

t.test("a client that goes aborts the scope, which still ends only once its handler has", async (t) => {
  const arrived = deferred<AbortSignal | undefined>();
  const finish = deferred<void>();
  await using setup = await Setup.make(() => (arrived.resolve(currentContext()?.signal), finish.promise));
  const client = httpRequest(await setup.app.listen({ port: 0, host: "127.0.0.1" })).on("error", () => {});
  client.end();
  const signal = await arrived.promise;
  client.destroy();
  if (signal?.aborted === false) await once(signal, "abort");
  t.strictSame(setup.log, ["session opens"], "the handler still runs, so nothing is released under it");
  finish.resolve();
  const log = await setup.ended();
  t.ok(log.includes("commit"), "what the handler did is not undone because nobody waits for the answer");
  t.equal(log.at(-1), "session closes after: Error: the client has gone before the response was complete");
});

t.test("the work of a request knows the id and the deadline of the request", async (t) => {
  let seen: ReturnType<typeof currentContext>;
  await using setup = await Setup.make(() => void (seen = currentContext()));
  await setup.app.inject("/");
  t.match(seen, { requestId: String, signal: AbortSignal });
  t.ok((seen?.deadline ?? 0) > performance.now());
});

t.test("a HEAD request and one without running container are answered too", async (t) => {
  await using setup = await Setup.make(() => ({ fine: true }));
  t.equal((await setup.app.inject({ method: "HEAD", url: "/" })).statusCode, 200);
  setup.way.running = undefined;
  const response: Pick<IncomingMessage, "statusCode"> = await setup.app.inject("/");
  t.equal(response.statusCode, 500, "it is up to the app's error handler to say 503");
});

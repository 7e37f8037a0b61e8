import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import { container, type RunningContainer } from "@steward/container";
import { resource, type StewardError } from "@steward/core";
import type { Needs } from "@steward/core/container";
import t, { type Test } from "tap";
import { answerTo, from, RequestLife, Route, Serving, Validators, type AnyHandler } from "../src/index.ts";

/** As much of Node's response as a life looks at. */
class Response extends EventEmitter {
  destroyed = false;
  writableEnded = false;
  headersSent = false;
  readonly writableLength = 0;

  setTimeout(): void {}

  /** Everything was sent, and the response is over. */
  complete(): void {
    this.headersSent = this.writableEnded = true;
    this.close();
  }

  /** It is over, complete or not. */
  close(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

class TestLife extends RequestLife {
  readonly own: Response = new Response();
  readonly answers: StewardError[] = [];
  readonly logged: string[] = [];
  readonly name = "GET /";

  constructor(serving: Serving, timeoutMs: number) {
    super(serving, { headers: {}, query: {}, params: {} }, "the reply", "id", timeoutMs);
  }

  protected get response(): ServerResponse {
    return this.own as unknown as ServerResponse; // as much of it as is looked at
  }

  protected get answered(): boolean {
    return this.own.headersSent;
  }

  protected get log() {
    return { error: (_details: object, message: string) => void this.logged.push(message) };
  }

  protected answerWith(error: StewardError): void {
    this.answers.push(error);
    this.own.headersSent = true;
  }
}

/** Lets everything that is due run: there are no timers in what is tested here. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

interface Lives {
  readonly log: string[];
  readonly serving: Serving;
  life(timeoutMs?: number): TestLife;
  route(needs: Needs): Route;
  /** Writes to a log when it is made, and how it ends. */
  logged(name: string, lifetime: "request" | "handler"): Needs[string];
}

async function lives(t: Test): Promise<Lives> {
  const running: RunningContainer = await container([]).start();
  t.teardown(() => running.stop());
  const log: string[] = [];
  const serving = new Serving(() => running, { error: (_details, message) => void log.push(message) });
  const app = { serving, validators: () => new Validators({}), timeoutMs: 0 };
  return {
    log,
    serving,
    life: (timeoutMs = 0) => new TestLife(serving, timeoutMs),
    route: (needs) => new Route(app, needs, {}),
    logged: (name, lifetime) =>
      resource(name, {
        lifetime,
        async *start() {
          log.push(`${name}+`);
          try {
            yield name;
          } catch (error) {
            log.push(`${name} saw ${(error as Error).message}`);
            throw error;
          }
          log.push(`${name}-`);
        },
      }),
  };
}

/** A handler whose end a test decides. */
function pending() {
  let [end, fail] = [(_result: unknown): void => {}, (_error: Error): void => {}];
  const result = new Promise<unknown>((resolve, reject) => ([end, fail] = [resolve, reject]));
  return { handler: (() => result) as AnyHandler, end, fail };
}

t.test("it commits once, when the answer has been serialised, and releases once, after the response", async (t) => {
  const { log, serving, life, route, logged } = await lives(t);
  const needs = { transaction: logged("transaction", "handler"), lease: logged("lease", "request") };
  const one = life();
  t.equal(await one.handle(route(needs), () => "result", false), "result");
  t.strictSame(log, ["transaction+", "lease+"]);
  await Promise.all([one.commit(), one.commit()]);
  await one.commit();
  t.strictSame(log.splice(0), ["transaction+", "lease+", "transaction-"]);
  await turns();
  t.strictSame([log, serving.stats().openRequests], [[], 1]);
  one.own.complete();
  one.own.close();
  await turns();
  t.strictSame([log, serving.stats()], [["lease-"], { ...serving.stats(), openRequests: 0, releasing: 0 }]);
  t.equal(one.isOpen, false);
});

t.test("where nothing has to be undone, it ends with its handler, and does not watch the response", async (t) => {
  const { serving, life, route } = await lives(t);
  const one = life(1_000);
  t.equal(
    one.handle(route({ signal: resource("plain", { lifetime: "request", start: () => 1 }) }), () => "r", false),
    "r",
  );
  t.strictSame([one.isOpen, serving.stats().openRequests, one.own.listenerCount("close")], [false, 0, 0]);
});

t.test("what a handler fails with is seen by all it used before it is answered; nothing is committed", async (t) => {
  const { log, serving, life, route, logged } = await lives(t);
  const needs = {
    transaction: logged("transaction", "handler"),
    lease: logged("lease", "request"),
    bg: from.background,
  };
  const one = life();
  const handler = (({ bg }: { bg: { add(name: string, run: () => void): void } }) => {
    bg.add("never", () => log.push("never"));
    throw new Error("no");
  }) as AnyHandler;
  await t.rejects(async () => one.handle(route(needs), handler, false), { message: "no" });
  t.strictSame(log, ["transaction+", "lease+", "transaction saw no", "lease saw no"]);
  t.match(one.failure, { message: "no" });
  t.equal(one.commit(), undefined);
  one.own.complete();
  await turns();
  t.equal(log.length, 4);
  t.strictSame(serving.stats().background, { pending: 0, done: 0, failed: 0, lost: 0 });
});

t.test("a client that goes aborts the signal; what the handler uses is held until it has ended", async (t) => {
  const { log, life, route, logged } = await lives(t);
  const one = life();
  const { handler, end } = pending();
  const handled = one.handle(route({ lease: logged("lease", "request") }), handler, false);
  await turns();
  const { signal } = one;
  t.equal(signal.aborted, false);
  one.own.close();
  t.match(signal.reason, { code: "CALL_ABORTED" });
  await turns();
  t.strictSame([log, one.failure], [["lease+"], undefined]);
  end("late");
  await handled;
  await turns();
  t.strictSame([log[0], log.length, one.isOpen], ["lease+", 2, false]);
});

t.test("a response is held until its stream has ended, also when its client has gone before", async (t) => {
  const { log, life, route, logged } = await lives(t);
  const one = life();
  const body = new PassThrough();
  t.equal(await one.handle(route({ lease: logged("lease", "request") }), () => body, false), body);
  one.own.close();
  await turns();
  t.strictSame(log, ["lease+"]);
  body.destroy();
  await turns();
  t.equal(log.length, 2);
});

t.test("a deadline that passes answers with 504 and rolls back what the handler does afterwards", async (t) => {
  const { log, life, route, logged } = await lives(t);
  const one = life(60_000);
  const { handler, end } = pending();
  const handled = one.handle(route({ transaction: logged("transaction", "handler") }), handler, false);
  await turns();
  one.expire();
  t.strictSame(
    one.answers.map((error) => [error.code, answerTo(error, {}).status]),
    [["DEADLINE_EXCEEDED", 504]],
  );
  t.equal(one.signal.aborted, true);
  end("too late");
  t.equal(await handled, "the reply", "the result is not sent");
  t.equal(one.commit(), undefined);
  one.own.complete();
  await turns();
  t.strictSame(log, ["transaction+", "transaction saw the request took longer than its deadline"]);
});

t.test("a deadline that passes behind the answer gives up calls alone", async (t) => {
  const { log, life, route, logged } = await lives(t);
  const one = life(60_000);
  await one.handle(route({ lease: logged("lease", "request") }), () => "result", false);
  const { signal } = one;
  one.own.headersSent = true;
  one.expire();
  t.strictSame([one.answers, signal.aborted, one.failure], [[], true, undefined]);
  one.own.complete();
  await turns();
  t.strictSame(log, ["lease+", "lease-"]);
});

t.test(
  "background work runs after the response and before the release, in order; one that fails stops none",
  async (t) => {
    const { log, serving, life, route, logged } = await lives(t);
    const one = life();
    await one.handle(route({ lease: logged("lease", "request") }), () => "result", false);
    one.background.add("first", () => void log.push("first"));
    one.background.add("bad", () => Promise.reject(new Error("no")));
    one.background.add("last", () => void log.push("last"));
    await turns();
    t.strictSame([log, serving.stats().background.pending], [["lease+"], 3]);
    one.own.complete();
    await turns();
    t.strictSame(log.slice(0, 3), ["lease+", "first", "last"]);
    t.equal(log.length, 4);
    t.strictSame(one.logged, ["a background task failed"]);
    t.strictSame(serving.stats().background, { pending: 0, done: 2, failed: 1, lost: 0 });
  },
);

t.test("something that fails behind the handler rolls back what is not committed, and releases it once", async (t) => {
  const { log, life, route, logged } = await lives(t);
  const one = life();
  await one.handle(route({ transaction: logged("transaction", "handler") }), () => "result", false);
  await one.failedOutside(new Error("it cannot be serialised"));
  await one.failedOutside(new Error("again"));
  one.own.complete();
  await turns();
  t.strictSame(log, ["transaction+", "transaction saw it cannot be serialised"]);
});

t.test(
  "the handler of a closed socket that does not end is given up; what it does later ends nothing twice",
  async (t) => {
    const { log, serving, life, route, logged } = await lives(t);
    const one = life();
    await one.handshake(route({ lease: logged("lease", "request") }));
    const socket = new EventEmitter();
    const { handler, fail } = pending();
    const conversing = one.converse(socket, handler as () => unknown); // it takes nothing
    socket.emit("close");
    await turns();
    t.strictSame([one.isOpen, log], [true, ["lease+"]]);
    one.expire();
    await turns();
    t.strictSame([one.isOpen, log.length, serving.stats().openRequests], [false, 2, 0]);
    t.match(one.logged, [/the handler of GET \/ has not ended 3000 ms after its socket was closed/]);
    fail(new Error("late"));
    await t.rejects(conversing, { message: "late" });
    t.strictSame([log.length, serving.stats().openRequests], [2, 0]);
  },
);

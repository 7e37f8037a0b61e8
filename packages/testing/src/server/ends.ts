import { resource } from "@steward/core";
import { until } from "../waits.ts";
import { leaveAtFirstBytes, open, write } from "./client.ts";
import { gate, type ServerCase } from "./world.ts";

/** Whatever becomes of a request, what it holds is given back, in order. */
export const endCases: readonly ServerCase[] = [
  {
    name: "commits when the answer has been serialised, and releases when it is over",
    async run(world) {
      const needs = { lease: world.noted("lease", "request"), tx: world.noted("tx", "handler") };
      const answer = (): unknown => (world.log.push("handler"), { a: 1 });
      const up = await world.up([{ method: "GET", path: "/", needs, answer }]);
      world.assert.strictEqual((await up.ask("/")).text, '{"a":1}');
      await up.idle();
      world.assert.strictEqual(world.log.join(), "lease+,tx+,handler,tx kept,lease kept");
    },
  },
  {
    name: "throws a handler's error into all it used, before it is answered",
    async run(world) {
      const needs = { lease: world.noted("lease", "request"), tx: world.noted("tx", "handler") };
      const routes = [false, true].map((isLate) => {
        const answer = (): unknown => {
          if (isLate) return Promise.resolve().then(() => Promise.reject(new Error("no")));
          throw new Error("no");
        };
        return { method: "GET", path: `/${isLate}`, needs, answer } as const;
      });
      const up = await world.up(routes);
      for (const path of ["/false", "/true"]) {
        world.assert.strictEqual((await up.ask(path)).status, 500);
        world.assert.strictEqual(world.log.splice(0).join(), "lease+,tx+,tx saw no,lease saw no", path);
      }
    },
  },
  {
    name: "rolls back what cannot be serialised, and answers with what a commit failed with",
    async run(world) {
      const { HttpError } = world.adapter;
      const circular: Record<string, unknown> = {};
      circular["self"] = circular;
      const late = resource("late", {
        lifetime: "handler",
        async *start() {
          yield 1;
          throw new HttpError(409, "somebody was first");
        },
      });
      const tx = world.noted("tx", "handler");
      const up = await world.up([
        { method: "GET", path: "/bigint", needs: { tx }, answer: () => ({ a: 1n }) },
        { method: "GET", path: "/circular", needs: { tx }, answer: async () => circular },
        { method: "GET", path: "/commit", needs: { late }, answer: () => ({ a: 1 }) },
      ]);
      for (const path of ["/bigint", "/circular"]) {
        world.assert.strictEqual((await up.ask(path)).status, 500, path);
        await up.idle();
        world.assert.ok(world.log.splice(0).join().startsWith("tx+,tx saw "), path);
      }
      world.assert.strictEqual((await up.ask("/commit")).status, 409);
      await up.idle();
    },
  },
  {
    name: "releases when the client goes while a dependency is made, while the handler runs, and while it is answered",
    async run(world) {
      const { definition, counts } = world.lease();
      const [inDependency, inHandler] = [gate(), gate()];
      const log: string[] = [];
      const slow = resource("slow", {
        lifetime: "request",
        needs: { lease: definition },
        start: async () => (log.push("dependency"), await inDependency.passed),
      });
      const handler = async (): Promise<string> => (log.push("handler"), await inHandler.passed, "late");
      const up = await world.up([
        { method: "GET", path: "/dependency", needs: { slow }, answer: () => "late" },
        { method: "GET", path: "/handler", needs: { lease: definition }, answer: handler },
        { method: "GET", path: "/answer", needs: { lease: definition }, answer: () => "x".repeat(4_000_000) },
      ]);
      for (const [path, { open: go }] of [
        ["/dependency", inDependency],
        ["/handler", inHandler],
      ] as const) {
        const socket = await open(up.port);
        write(socket, path);
        await until(() => log.includes(path.slice(1)), "it has begun");
        socket.destroy();
        go();
        await up.idle();
      }
      const socket = await open(up.port);
      write(socket, "/answer");
      await leaveAtFirstBytes(socket);
      await up.idle();
      world.assert.strictEqual(JSON.stringify(counts), '{"taken":3,"given":3,"late":0}');
    },
  },
  {
    name: "releases what requests hold that wait behind another on their connection when its client goes",
    async run(world) {
      const { definition, counts } = world.lease();
      const go = gate();
      const needs = { lease: definition };
      const slow = async (): Promise<string> => (await go.passed, "slow");
      const endless = (): unknown =>
        world.adapter.stream(
          (async function* () {
            for (;;) {
              yield "x".repeat(1_000);
              await new Promise((resolve) => setTimeout(resolve, 2));
            }
          })(),
        );
      const up = await world.up([
        { method: "GET", path: "/slow", needs, answer: slow },
        { method: "GET", path: "/late", needs, answer: async () => "late" },
        { method: "GET", path: "/endless", needs, answer: endless },
      ]);
      const socket = await open(up.port);
      for (const path of ["/slow", "/late", "/endless", "/slow", "/endless"]) write(socket, path);
      await until(() => counts.taken === 5, "all have come");
      socket.destroy();
      await until(() => counts.given === 3, "those are released whose handler has ended");
      go.open();
      await up.idle();
      world.assert.strictEqual(JSON.stringify(counts), '{"taken":5,"given":5,"late":0}');
    },
  },
  {
    name: "answers with 504 at the deadline; what the handler holds is released when it has ended",
    async run(world) {
      const { from } = world.adapter;
      const end = gate();
      const signals: AbortSignal[] = [];
      const needs = { lease: world.noted("lease", "request"), signal: from.signal };
      const answer = async ({ signal }: { readonly signal: AbortSignal }): Promise<string> => {
        signals.push(signal);
        await end.passed;
        return "late";
      };
      const up = await world.up([{ method: "GET", path: "/", needs, answer }], { timeoutMs: 30 });
      const { status, text } = await up.ask("/");
      world.assert.strictEqual([status, (JSON.parse(text) as { code: string }).code].join(), "504,DEADLINE_EXCEEDED");
      world.assert.strictEqual([world.log.join(), signals[0]?.aborted].join(), "lease+,true");
      end.open();
      await up.idle();
      world.assert.ok(world.log.join().startsWith("lease+,lease saw "));
    },
  },
  {
    name: "runs background work after the answer, while the request's resources are still held; none after an error",
    async run(world) {
      const { from, HttpError } = world.adapter;
      const lease = world.noted("lease", "request");
      const needs = { lease, background: from.background };
      interface Values {
        readonly background: { add(name: string, run: () => unknown): void };
      }
      const answer = ({ background }: Values): string => (
        background.add("work", () => world.log.push("work")),
        world.log.push("handler"),
        "ok"
      );
      const failing = ({ background }: Values): never => {
        background.add("work", () => world.log.push("work"));
        throw new HttpError(400, "no");
      };
      const up = await world.up([
        { method: "GET", path: "/", needs, answer },
        { method: "GET", path: "/fails", needs, answer: failing },
      ]);
      await up.ask("/");
      await up.idle();
      world.assert.strictEqual(world.log.splice(0).join(), "lease+,handler,work,lease kept");
      world.assert.strictEqual((await up.ask("/fails")).status, 400);
      await up.idle();
      world.assert.strictEqual(world.log.join(), "lease+,lease saw no");
    },
  },
];

import { once } from "node:events";
import { resource } from "@steward/core";
import { sleep, until } from "../waits.ts";
import { answerIn, open, rest, write } from "./client.ts";
import { gate, type ServerCase } from "./world.ts";

/** Before the start, and at the end. */
export const stopCases: readonly ServerCase[] = [
  {
    name: "answers with 503 until all of its container is up, and that it lives",
    async run(world) {
      const go = gate();
      const slow = resource("slow", { start: () => go.passed });
      const routes = [{ method: "GET", path: "/", needs: { slow }, answer: () => "ok" }] as const;
      const { listening, started } = world.launch(routes, {}, [slow]);
      const up = await listening;
      const early = await up.ask("/");
      world.assert.strictEqual(early.status, 503);
      world.assert.ok(Number(early.headers["retry-after"]) > 0, "it says when to come back");
      const probes = [await up.ask("/livez"), await up.ask("/readyz")];
      world.assert.strictEqual(probes.map(({ status }) => status).join(), "200,503");
      go.open();
      await started;
      world.assert.strictEqual((await up.ask("/")).status, 200);
      world.assert.strictEqual((await up.ask("/readyz")).status, 200);
    },
  },
  {
    name: "lets requests end before what they need is stopped; those that come over their connections meanwhile are refused",
    async run(world) {
      const { log } = world;
      const [asked, go] = [gate(), gate()];
      const db = resource("db", { start: () => "db", stop: () => log.push("db stops") });
      const answer = async (): Promise<string> => {
        log.push("handler");
        asked.open();
        await go.passed;
        log.push("answers");
        return "late";
      };
      const up = await world.up([{ method: "GET", path: "/", needs: { db }, answer }], {}, [db]);
      const idle = await open(up.port);
      write(idle, "/livez");
      await once(idle, "data");
      const socket = await open(up.port);
      write(socket, "/");
      await asked.passed;
      const stopped = up.stop();
      await rest(idle); // it is closed while the other is still being answered
      write(socket, "/");
      const text = rest(socket);
      await sleep(20); // the second request arrives, and its handler does not run
      go.open();
      const { status, text: body } = answerIn(await text);
      await stopped;
      world.assert.strictEqual(`${status} ${body.slice(0, 4)}`, "200 late");
      world.assert.strictEqual(log.join(), "handler,answers,db stops");
    },
  },
  {
    name: "cuts what does not end within its time for closing; its signal says so",
    async run(world) {
      const { definition, counts } = world.lease();
      const asked = gate();
      const answer = async ({ signal }: { readonly signal: AbortSignal }): Promise<string> => {
        asked.open();
        await once(signal, "abort");
        return "late";
      };
      const needs = { lease: definition, signal: world.adapter.from.signal };
      const up = await world.up([{ method: "GET", path: "/", needs, answer }], { closeTimeoutMs: 200 });
      const socket = await open(up.port);
      write(socket, "/");
      await asked.passed;
      const over = rest(socket);
      await up.stop();
      world.assert.strictEqual(`${await over}${counts.given}`, "1");
    },
  },
  {
    name: "gives up clients that take their time, and bytes that are no request, with their descriptors",
    async run(world) {
      const { from } = world.adapter;
      const { definition, counts } = world.lease();
      const needs = { lease: definition, body: from.body("body", {}) };
      const up = await world.up([{ method: "POST", path: "/", needs, answer: () => "ok" }], { requestTimeoutMs: 150 });
      const halves = [
        "POST / HTTP/1.1\r\nhost: x\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
      ];
      for (const half of halves) {
        const socket = await open(up.port);
        socket.write(half);
        const { status } = answerIn(await rest(socket));
        world.assert.ok(status === 408 || status === 0, `it is given up, with ${status}`);
      }
      const nonsense = await open(up.port);
      nonsense.write("nonsense\r\n\r\n");
      const refused = answerIn(await rest(nonsense));
      world.assert.strictEqual(
        `${refused.status} ${refused.headers["content-type"]}`,
        "400 application/problem+json; charset=utf-8",
      );
      await up.idle();
      await until(() => counts.taken === counts.given, "all is given back");
    },
  },
];

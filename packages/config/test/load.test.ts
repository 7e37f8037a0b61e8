import { container } from "@steward/container";
import { current, resource } from "@steward/core";
import { rounds } from "@steward/testing";
import t from "tap";
import { config, describe, section } from "../src/index.ts";
import { count, source } from "../src/index.ts";
import * as v from "valibot";

const part = v.strictObject({ stamp: count(0), fails: v.optional(v.boolean(), false) });
const schema = v.strictObject({ stamp: count(0), a: part, b: part, live: v.strictObject({ stamp: count(0) }) });

t.test(
  "reloads under load, valid and broken in turn: no request sees two generations, and the last valid one stands",
  async (t) => {
    const all = rounds(1_000);
    let content: unknown;
    const write = (stamp: number, more: object = {}) =>
      (content = { stamp, a: { stamp }, b: { stamp }, live: { stamp }, ...more });
    write(0);
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const file = source("the file", { read: async () => (await turn(), content) });
    const settings = config("settings", { schema, sources: [file], live: ["live"] });
    const users = { up: 0, down: 0 };
    const make = (name: "a" | "b") =>
      resource(name, {
        needs: { own: section(settings, name) },
        start: async ({ own }) => {
          await turn();
          if (own.fails) throw new Error(`${name} does not like it`);
          users.up++;
          return own;
        },
        stop: () => void users.down++,
      });
    const [a, b] = [make("a"), make("b")];
    const both = resource("both", {
      needs: { a, b, settings },
      start: ({ a, b, settings }) => [a.stamp, b.stamp, settings.stamp],
    });
    const now = resource("now", { needs: { settings: current(settings) }, start: ({ settings }) => settings });
    const running = await container([a, b, both, now]).start();

    const load = { isOver: false };
    let [requests, mixed, behind, valid] = [0, 0, 0, 0];
    const client = async (): Promise<void> => {
      while (!load.isOver) {
        const least = running.get(now).current.stamp;
        await running.scope([], { a, b, both, settings }, async ({ a, b, both, settings }) => {
          const stamps = [
            a.stamp,
            b.stamp,
            settings.stamp,
            settings.a.stamp,
            settings.b.stamp,
            settings.live.stamp,
            ...both,
          ];
          await turn();
          requests++;
          if (new Set(stamps).size !== 1) mixed++;
          if (settings.stamp < least) behind++;
        });
      }
    };
    const clients = Array.from({ length: 8 }, client);
    const broken = [{ typo: 1 }, { a: { stamp: -1 } }, { b: { stamp: 1, fails: true } }];
    let refused = 0;
    for (let i = 1; i <= all; i++) {
      const isBroken = i % 2 === 0;
      write(i, isBroken ? broken[(i / 2) % broken.length] : {});
      const before = running.get(settings);
      await describe(before)
        .reload()
        .then(
          () => (valid = i),
          () => refused++,
        );
      if (isBroken && running.get(settings) !== before) t.fail(`reload ${i} was applied`);
      await turn();
    }
    load.isOver = true;
    await Promise.all(clients);
    t.equal(refused, Math.floor(all / 2), "every broken one was refused");
    t.same([mixed, behind], [0, 0], `of ${requests} requests`);
    t.ok(requests > all, `${requests} requests`);
    t.equal(running.get(settings).stamp, valid);
    t.same(running.get(both), [valid, valid, valid]);
    t.match(describe(running.get(settings)).stats(), {
      generation: 1 + all - refused,
      reloads: all - refused,
      refused,
    });
    t.comment(`${all} reloads, ${refused} refused, ${requests} requests, ${mixed} mixed`);
    await running.stop();
    t.equal(users.up, users.down, "nothing that was started is left");
  },
);

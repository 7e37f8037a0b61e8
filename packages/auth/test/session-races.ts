import type { Test } from "tap";
import type { CookieSessionStore } from "../src/index.ts";
import { at } from "./make.ts";

/** What has to hold of cookie sessions however calls meet, over one or several stores of the same sessions. */
export async function sessionRaces(t: Test, stores: readonly CookieSessionStore[]): Promise<void> {
  const session = { scopes: ["a"], userAgent: "x", idleMs: 60_000, absoluteMs: 90_000, maxPerUser: 3 };
  const create = (id: string, i: number, more: { epoch?: number; subject?: string; replaces?: string } = {}) =>
    at(stores, i).create({ ...session, subject: "max", ...more, id });
  const living = async (ids: readonly string[]): Promise<string[]> => {
    const found = await Promise.all(ids.map((id) => at(stores, 0).find(id)));
    return ids.filter((_, i) => found[i] !== undefined);
  };

  await t.test("a user has exactly as many sessions as may be, of 30 sign-ins at once", async (t) => {
    const ids = Array.from({ length: 30 }, (_, i) => `m${i}`);
    await Promise.all(ids.map((id, i) => create(id, i)));
    const left = await living(ids);
    t.equal(left.length, 3);
    t.strictSame((await at(stores, 1).list("max")).map(({ id }) => id).sort(), left.sort());
    for (const i of [1, 2, 3]) await create(`n${i}`, i);
    t.strictSame(await living([...ids, "n1", "n2", "n3"]), ["n1", "n2", "n3"], "the oldest end");
    await create("n4", 0, { replaces: "n2" });
    t.strictSame(await living(["n1", "n2", "n3", "n4"]), ["n1", "n3", "n4"], "one that is replaced makes room");
  });

  await t.test("of writes at once each counts, and none comes back after an end", async (t) => {
    await create("w", 0, { subject: "wes" });
    await Promise.all(Array.from({ length: 12 }, (_, i) => at(stores, i).write("w", { [`f${i}`]: String(i) })));
    t.equal(Object.keys((await at(stores, 1).find("w"))?.fields ?? {}).length, 12);
    t.equal(await at(stores, 1).write("w", { f0: null, f1: "two" }), true);
    const { fields = {} } = (await at(stores, 0).find("w")) ?? {};
    t.match(fields, { f1: "two", f2: "2" });
    t.notOk("f0" in fields);
    for (let turn = 0; turn < 10; turn++) {
      const id = `e${turn}`;
      await create(id, turn, { subject: "eve" });
      const slow = [at(stores, 0).write(id, { a: "1" }), at(stores, 1).touch(id, 60_000), at(stores, 2).find(id)];
      await Promise.all([...slow.slice(0, turn % 3), at(stores, turn).remove(id), ...slow]);
      t.equal(await at(stores, turn + 1).write(id, { a: "2" }), false, "a slow request writes nothing");
      await at(stores, turn).touch(id, 60_000);
      t.equal(await at(stores, turn).find(id), undefined);
    }
  });

  await t.test("an end of all sessions of a user ends those that begin at this moment", async (t) => {
    const epoch = await at(stores, 0).epoch("max");
    const ids = Array.from({ length: 10 }, (_, i) => `r${i}`);
    await Promise.all([...ids.map((id, i) => create(id, i, { epoch })), at(stores, 1).raiseEpoch("max")]);
    t.equal(await create("late", 2, { epoch }), false);
    t.strictSame(await living(["late", "n1", "n3", "n4", ...ids]), []);
    t.strictSame(await at(stores, 0).list("max"), []);
    t.equal(await at(stores, 1).write("n1", { a: "1" }), false);
    t.equal(await at(stores, 2).epoch("max"), epoch + 1);
    t.ok(await create("new", 1, { epoch: epoch + 1 }));
    t.match(await at(stores, 2).find("new"), { id: "new", subject: "max", scopes: ["a"], userAgent: "x", fields: {} });
    t.strictSame(await living(["w"]), ["w"], "others go on");
  });
}

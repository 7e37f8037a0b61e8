import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { failure, until } from "@steward/testing";
import postgres from "postgres";
import t from "tap";
import { DatabasePoolManager } from "../../src/index.ts";
import { testServer } from "./server.ts";

const place = await testServer();
const manager = await new DatabasePoolManager({ url: place.url, maxConnections: 1 }).start();
const { $client } = manager.client;
await $client`create table notes (id int)`;
t.teardown(async () => {
  await manager.stop();
  await place[Symbol.asyncDispose]();
});
t.beforeEach(() => $client`truncate notes`);

async function notes(): Promise<number> {
  return (await $client`select count(*)::int from notes`)[0]?.["count"] as number;
}

async function givenBack(what: string): Promise<void> {
  await until(() => manager.stats()["inUse"] === 0, what);
}

t.test("a statement that is cancelled before it is sent does not run", async (t) => {
  const before = $client`insert into notes values (1)`;
  before.cancel();
  t.match(await failure(before), { code: "57014" }, "cancelled before it was awaited");
  const inTick = $client`insert into notes values (2)`.execute();
  inTick.cancel();
  t.match(await failure(inTick), { code: "57014" }, "cancelled in the tick in which it was begun");
  const cursor = $client`insert into notes values (3) returning id`;
  const portions = cursor.cursor(1)[Symbol.asyncIterator]();
  cursor.cancel();
  t.match(await failure(portions.next()), { code: "57014" }, "a cursor before its first portion");
  t.match(await failure(portions.next()), { code: "57014" }, "which it also says to who asks again");
  t.equal(await notes(), 0, "none of them ran");
  await givenBack("the connection is free");
  t.match(manager.stats(), { opened: 1 }, "it is the same one");
});

t.test("a transaction in which a statement was cancelled before it was sent is rolled back", async (t) => {
  const body = async (tx: postgres.TransactionSql): Promise<void> => {
    await tx`insert into notes values (1)`;
    const query = tx`insert into notes values (2)`.execute();
    query.cancel();
    await query.catch(() => {});
  };
  t.match(await failure($client.begin(body)), { code: "57014" });
  t.equal(await notes(), 0);
});

t.test(
  "clients of one connection have the members of those of postgres.js, so no large objects of another one",
  async (t) => {
    const raw = postgres(place.url, { max: 1 });
    t.teardown(() => raw.end());
    const theirs = await raw.reserve();
    const ours = await $client.reserve();
    t.same(Object.keys(ours).sort(), Object.keys(theirs).sort(), "reserve");
    theirs.release();
    ours.release();
    const members = (tx: postgres.TransactionSql): string[] => Object.keys(tx).sort();
    const inTheirs = await raw.begin(members as never);
    t.same(await $client.begin(members as never), inTheirs, "begin");
  },
);

t.test("portions of a cursor that are asked for at once come one after the other", async (t) => {
  const portions = $client`select generate_series(1, 5) as n`.cursor(2)[Symbol.asyncIterator]();
  const asked = [portions.next(), portions.next(), portions.next(), portions.next()];
  const numbers = (await Promise.all(asked)).map(({ value, done }) => (done === true ? "done" : value));
  t.same(numbers, [[{ n: 1 }, { n: 2 }], [{ n: 3 }, { n: 4 }], [{ n: 5 }], "done"]);
  await givenBack("the cursor has ended");
  const broken = $client`select 1 / (3 - n) from generate_series(1, 5) as n`.cursor(2)[Symbol.asyncIterator]();
  const results = [broken.next(), failure(broken.next()), failure(broken.next())] as const;
  t.match(await Promise.all(results), [{ done: false }, { code: "22012" }, { code: "22012" }]);
  const left = $client`select generate_series(1, 5) as n`.cursor(2)[Symbol.asyncIterator]();
  const first = left.next();
  await left.return?.();
  t.match(await first, { done: false }, "what was asked for before the end comes");
  await givenBack("it was ended while its first portion was on its way");
});

t.test("a COPY whose reader leaves it half way gives its connection back at once", async (t) => {
  const copy = (): Promise<Readable> =>
    $client`copy (select repeat('x', 1000) from generate_series(1, 200000)) to stdout`.readable();
  await notes();
  const { opened, failed } = manager.stats() as unknown as Record<"opened" | "failed", number>;
  for await (const _ of await copy()) break;
  await givenBack("its reader broke out of the loop");
  const destroyed = await copy();
  destroyed.destroy();
  await failure(finished(destroyed));
  await givenBack("its reader destroyed it");
  t.equal(await notes(), 0, "the next statement has another connection");
  t.match(manager.stats(), { opened: opened + 2, failed }, "and no call has failed");
});

import { sql, TransactionRollbackError } from "drizzle-orm";
import { integer, pgTable } from "drizzle-orm/pg-core";
import { runWithContext, systemClock } from "@steward/core";
import t from "tap";
import { failure, operationsOf, until } from "@steward/testing";
import { begin, DatabasePoolManager, sqlRunner, transaction, type Database } from "../../src/index.ts";
import { testServer } from "./server.ts";

const place = await testServer();
const accounts = pgTable("accounts", { id: integer().primaryKey(), balance: integer().notNull() });
const manager = await new DatabasePoolManager(
  { url: place.url, maxConnections: 4, schema: { accounts } },
  { name: "bank" },
).start();
const db = manager.client;
await db.execute(sql`create table accounts (id int primary key, balance int not null check (balance >= 0))`);
t.teardown(async () => {
  await manager.stop();
  await place[Symbol.asyncDispose]();
});
t.beforeEach(async () => {
  await db.execute(sql`truncate accounts`);
  await db.insert(accounts).values([
    { id: 1, balance: 100 },
    { id: 2, balance: 100 },
  ]);
});
t.afterEach(() => until(() => manager.stats()["inUse"] === 0, "every connection comes back"));

async function balance(id: number): Promise<number | undefined> {
  return (await db.query.accounts.findFirst({ where: (a, { eq }) => eq(a.id, id) }))?.balance;
}

function set(to: number, id = 1): ReturnType<Database["execute"]> {
  return db.execute(sql`update accounts set balance = ${to} where id = ${id}`);
}

t.test("events of calls name what a statement does, without what is in it", async (t) => {
  const operations = await operationsOf(async () => {
    await db.query.accounts.findFirst();
    await set(7);
    await db.$client.unsafe("-- s3cret\n/* and * more */ (select 1)");
    await transaction(db, (inner) => inner.insert(accounts).values({ id: 3, balance: 1 }));
  });
  t.same(
    operations.filter((o) => o !== "lease"),
    ["SELECT", "UPDATE", "SELECT", "BEGIN", "INSERT", "COMMIT"],
  );
  t.ok(operations.includes("lease"));
});

t.test("begin: changes last when it is committed, and only then", async (t) => {
  {
    await using open = await begin(db);
    await open.update(accounts).set({ balance: 7 });
    t.equal((await open.query.accounts.findFirst())?.balance, 7, "it sees its own changes");
    t.equal(
      (await open.$client`select balance from accounts where id = 1`)[0]?.["balance"],
      7,
      "so does its raw client",
    );
    t.equal(await balance(1), 100, "others do not");
    await open.commit();
    t.equal((await failure(open.commit())).code, "DATABASE_LEASE_ENDED");
    t.equal(((await failure(open.execute(sql`select 1`))).cause as { code?: string }).code, "DATABASE_LEASE_ENDED");
  }
  t.equal(await balance(1), 7);
  {
    await using open = await begin(db);
    await open.update(accounts).set({ balance: 8 });
  }
  t.equal(await balance(1), 7, "left without a commit it is rolled back");
  const failed = await begin(db);
  await failed.rollback();
  await failed.rollback();
  t.equal((await failure(failed.commit())).code, "DATABASE_LEASE_ENDED");
});

t.test("begin: a commit after a failed statement says that the server rolled back", async (t) => {
  await using open = await begin(db);
  await open.update(accounts).set({ balance: 9 });
  await failure(open.update(accounts).set({ balance: -1 }));
  const error = await failure(open.commit());
  t.equal(error.code, "DATABASE_TRANSACTION_ABORTED");
  t.equal((error.cause as { code?: string }).code, "23514");
  t.equal(await balance(1), 100);
});

t.test("begin: nested transactions are savepoints", async (t) => {
  await using open = await begin(db);
  await open.update(accounts).set({ balance: 50 });
  await failure(
    open.transaction(async (inner) => {
      await inner.update(accounts).set({ balance: 51 });
      await inner.transaction((innermost) => innermost.update(accounts).set({ balance: -1 }));
    }),
  );
  await open.transaction((inner) => inner.execute(sql`update accounts set balance = balance + 1`));
  await open.commit();
  t.equal(await balance(1), 51);
});

t.test("drizzle's own transaction and postgres.js' begin pass the same pool", async (t) => {
  await db.transaction(
    async (tx) => {
      await tx.update(accounts).set({ balance: 1 });
      await tx
        .transaction(async (inner) => inner.rollback())
        .catch((error: unknown) => t.type(error, TransactionRollbackError));
    },
    { isolationLevel: "serializable" },
  );
  t.equal(await balance(1), 1);
  await failure(
    db.transaction(async (tx) => {
      await tx.update(accounts).set({ balance: 2 });
      throw new Error("no");
    }),
  );
  t.equal(await balance(1), 1);
  const result = await db.$client.begin("isolation level repeatable read", async (raw) => {
    await raw`update accounts set balance = 3`;
    await raw.savepoint("s", (inner) => inner`update accounts set balance = -3`).catch(() => {});
    const [row] = await raw`select current_setting('transaction_isolation') as level`;
    return row?.["level"];
  });
  t.equal(result, "repeatable read");
  t.equal(await balance(1), 3);
  t.same(
    await db.$client.begin((raw) => [raw`select 1 as a`, raw`select 2 as a`]),
    [[{ a: 1 }], [{ a: 2 }]],
    "a body of several queries",
  );
  t.equal((await failure(db.$client.begin((raw) => raw`update accounts set balance = -1`))).code, "23514");
});

t.test("transaction: commits what resolves, rolls back what rejects, with the isolation asked for", async (t) => {
  const level = await transaction(
    db,
    async (tx) => {
      await tx.update(accounts).set({ balance: 5 });
      return (await tx.execute(sql`show transaction_isolation`))[0];
    },
    { isolationLevel: "serializable" },
  );
  t.same(level, { transaction_isolation: "serializable" });
  t.equal(await balance(1), 5);
  await failure(
    transaction(db, async (tx) => {
      await tx.update(accounts).set({ balance: 6 });
      throw new Error("no");
    }),
  );
  t.equal(await balance(1), 5);
  const refused = await failure(
    transaction(db, (tx) => tx.update(accounts).set({ balance: 6 }), {
      accessMode: "read only",
      deferrable: true,
      isolationLevel: "serializable",
    }),
  );
  t.equal((refused.cause as { code?: string }).code, "25006");
});

t.test("transaction: runs again after a serialization failure, only where that is asked for", async (t) => {
  let runs = 0;
  const conflict = (tx: { execute(query: ReturnType<typeof sql>): PromiseLike<unknown> }): Promise<void> => {
    runs++;
    return (async () => {
      await tx.execute(sql`select * from accounts`);
      if (runs === 1) await set(77);
      await tx.execute(sql`update accounts set balance = balance + 1 where id = 1`);
    })();
  };
  const error = await failure(transaction(db, conflict, { isolationLevel: "repeatable read" }));
  t.equal((error.cause as { code?: string }).code, "40001");
  t.equal(runs, 1);
  runs = 0;
  await transaction(db, conflict, { isolationLevel: "repeatable read", retry: { maxAttempts: 2, baseDelayMs: 1 } });
  t.equal(runs, 2);
  t.equal(await balance(1), 78);
  let attempts = 0;
  await failure(
    transaction(
      db,
      async (tx) => {
        attempts++;
        await tx.execute(sql`select 1 / 0`);
      },
      { retry: {} },
    ),
  );
  t.equal(attempts, 1, "other errors are not worth another run");
});

t.test("transaction: two that deadlock both succeed with retry", async (t) => {
  let bothHold: () => void = () => {};
  const held = new Promise<void>((resolve) => (bothHold = resolve));
  let holders = 0;
  const move = (from: number, to: number): Promise<void> =>
    transaction(
      db,
      async (tx) => {
        await tx.execute(sql`update accounts set balance = balance - 1 where id = ${from}`);
        if (++holders === 2) bothHold();
        await held;
        await tx.execute(sql`update accounts set balance = balance + 1 where id = ${to}`);
      },
      { retry: { baseDelayMs: 1 } },
    );
  await Promise.all([move(1, 2), move(2, 1)]);
  t.same([await balance(1), await balance(2)], [100, 100]);
  t.ok(holders >= 3, "one of them ran twice");
});

t.test("a reservation left in a transaction is rolled back before the next user", async (t) => {
  const held = await db.$client.reserve();
  await held`begin`;
  await held`update accounts set balance = 1`;
  held.release();
  t.equal(await balance(1), 100);
  t.equal((await failure(held`select 1`)).code, "DATABASE_LEASE_ENDED");
});

t.test("a transaction whose caller has run out of time is undone, and the next user is not in it", async (t) => {
  await using one = await new DatabasePoolManager({ url: place.url, maxConnections: 1 }).start();
  const { client } = one;
  const { $client } = client;
  const write = sql`update accounts set balance = 1`;
  const late = sql`select pg_sleep(30)`;
  const ways: Readonly<Record<string, (passed: () => Promise<void>) => Promise<unknown>>> = {
    "begin, left": async () => {
      await using tx = await begin(client, { settings: { "app.tenant": "one" } });
      await tx.execute(write);
      await tx.execute(late);
    },
    "begin, committed too late": async (passed) => {
      await using tx = await begin(client);
      await tx.execute(write);
      await passed();
      await tx.commit();
    },
    drizzle: () =>
      client.transaction(async (tx) => {
        await tx.execute(write);
        await tx.execute(late);
      }),
    "drizzle, committed too late": (passed) => client.transaction((tx) => tx.execute(write).then(passed)),
    "postgres.js": () =>
      $client.begin(async (tx) => {
        await tx`update accounts set balance = 1`;
        await tx`select pg_sleep(30)`;
      }),
    reservation: async (passed) => {
      const reserved = await $client.reserve();
      await reserved`begin`;
      await reserved`update accounts set balance = 1`;
      await passed();
      reserved.release();
      throw new Error("over");
    },
  };
  for (const [name, way] of Object.entries(ways)) {
    const deadline = systemClock.now() + 60;
    const passed = (): Promise<void> => until(() => systemClock.now() > deadline, "time is over");
    await failure(runWithContext({ deadline }, () => way(passed)));
    const [row] = await $client`
      select balance, pg_current_xact_id_if_assigned() as id, coalesce(current_setting('app.tenant', true), '') as tenant from accounts`;
    t.same(row, { balance: 100, id: null, tenant: "" }, name);
    await $client`update accounts set balance = 100`;
    const [seen] = await place.observer`
      select count(*)::int as open from pg_stat_activity where datname = ${new URL(place.url).pathname.slice(1)} and state like 'idle in %'`;
    t.equal(seen?.["open"], 0, name);
  }
});

/** Transactions whose work writes, and then does not end by itself: in a statement, or in its own code. */
function endless(client: Database, idle: boolean): Readonly<Record<string, () => Promise<unknown>>> {
  const { $client } = client;
  const write = sql`update accounts set balance = 1`;
  const late = sql`select pg_sleep(60)`;
  const never = new Promise<never>(() => {});
  return {
    transaction: () => transaction(client, (tx) => tx.execute(write).then(() => (idle ? never : tx.execute(late)))),
    drizzle: () => client.transaction((tx) => tx.execute(write).then(() => (idle ? never : tx.execute(late)))),
    "postgres.js": () =>
      $client.begin((tx) => tx`update accounts set balance = 1`.then(() => (idle ? never : tx`select pg_sleep(60)`))),
  };
}

/** Waits until the transaction of a pool of one is where it does not end. */
function stuck({ url }: { readonly url: string }, idle: boolean): Promise<void> {
  const database = new URL(url).pathname.slice(1);
  return until(async () => {
    const [row] = await place.observer`
      select count(*)::int as count from pg_stat_activity where datname = ${database}
      and state = ${idle ? "idle in transaction" : "active"} and query like ${idle ? "update%" : "%pg_sleep%"}`;
    return row?.["count"] === 1;
  }, "it is there");
}

for (const idle of [false, true]) {
  const where = idle ? "code that never ends" : "a statement";
  t.test(`a transaction given up in ${where} is rolled back at the server, on its connection`, async (t) => {
    await using one = await new DatabasePoolManager({ url: place.url, maxConnections: 1 }).start();
    for (const [name, way] of Object.entries(endless(one.client, idle))) {
      const abort = new AbortController();
      const aborted = runWithContext({ signal: abort.signal }, () => failure(way()));
      await stuck(place, idle);
      abort.abort();
      t.equal(await codeOf(aborted), "CALL_ABORTED", `${name}, aborted`);
      await db.$client`update accounts set balance = 100`;
      const deadline = systemClock.now() + 100;
      t.equal(await codeOf(runWithContext({ deadline }, () => failure(way()))), "DEADLINE_EXCEEDED", `${name}, late`);
      await db.$client`update accounts set balance = 100`;
      await one.client.$client`select 1`;
      t.match(one.stats(), { opened: 1, size: 1, inUse: 0 }, name);
    }
  });

  t.test(`a transaction that takes too long in ${where} is rolled back at the server, on its connection`, async (t) => {
    const options = { url: place.url, maxConnections: 1, transactionTimeoutMs: 100 };
    await using one = await new DatabasePoolManager(options).start();
    for (const [name, way] of Object.entries(endless(one.client, idle))) {
      t.equal(await codeOf(failure(way())), "DEADLINE_EXCEEDED", name);
      await db.$client`update accounts set balance = 100`;
      await one.client.$client`select 1`;
      t.match(one.stats(), { opened: 1, size: 1, inUse: 0 }, name);
    }
  });

  t.test(`a stop ends a transaction in ${where}`, async (t) => {
    const one = new DatabasePoolManager({ url: place.url, maxConnections: 1 }, { stopTimeoutMs: 2_000 });
    for (const [name, way] of Object.entries(endless(one.client, idle))) {
      await one.start();
      const stopped = failure(way());
      await stuck(place, idle);
      await one.stop();
      t.equal(await codeOf(stopped), "RESOURCE_UNAVAILABLE", name);
      await db.$client`update accounts set balance = 100`;
      t.match(one.stats(), { phase: "stopped", size: 0, inUse: 0 }, name);
    }
  });
}

/** The code of an error, or of what drizzle has made it the cause of. */
async function codeOf(failed: Promise<Error & { readonly code?: unknown }>): Promise<unknown> {
  const error = await failed;
  return error.code ?? (error.cause as { readonly code?: unknown } | undefined)?.code;
}

t.test("what a transaction does after it was given up is refused", async (t) => {
  const abort = new AbortController();
  let goOn: (value?: unknown) => void = () => {};
  const held = new Promise((resolve) => (goOn = resolve));
  let late: Promise<unknown> = held;
  const over = runWithContext({ signal: abort.signal }, () =>
    failure(
      db.$client.begin(async (tx) => {
        await tx`update accounts set balance = 1`;
        abort.abort();
        await held;
        await (late = failure(tx`update accounts set balance = 2`));
      }),
    ),
  );
  t.equal((await over).code, "CALL_ABORTED");
  goOn();
  await until(() => late !== held, "its code went on");
  t.match(await late, { code: "DATABASE_LEASE_ENDED" });
  t.equal(await balance(1), 100);
});

t.test("a transaction in code that never ends is over when its connection breaks", async (t) => {
  await using one = await new DatabasePoolManager({ url: place.url, maxConnections: 1 }).start();
  for (const [name, way] of Object.entries(endless(one.client, true))) {
    const broken = failure(way());
    await stuck(place, true);
    await place.observer`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${new URL(place.url).pathname.slice(1)} and state = 'idle in transaction'`;
    t.equal(await codeOf(broken), "DATABASE_LEASE_ENDED", name);
    await one.client.$client`select 1`;
    t.match(one.stats(), { size: 1, inUse: 0 }, name);
  }
});

t.test("a reservation that is aborted is rolled back at the server, on its connection", async (t) => {
  await using one = await new DatabasePoolManager({ url: place.url, maxConnections: 1 }).start();
  const abort = new AbortController();
  await runWithContext({ signal: abort.signal }, async () => {
    const held = await one.client.$client.reserve();
    await held`begin`;
    await held`update accounts set balance = 1`;
    const late = failure(held`select pg_sleep(60)`);
    await stuck(place, false);
    abort.abort();
    t.equal((await late).code, "CALL_ABORTED");
    held.release();
  });
  await db.$client`update accounts set balance = 100`;
  await one.client.$client`select 1`;
  t.match(one.stats(), { opened: 1, size: 1, inUse: 0 });
});

t.test("a stop that ends statements says so", async (t) => {
  const one = await new DatabasePoolManager({ url: place.url, maxConnections: 2 }, { stopTimeoutMs: 2_000 }).start();
  const { $client } = one.client;
  const held = await $client.reserve();
  const failed = [failure($client`select pg_sleep(60)`), failure(held`select 1, pg_sleep(60)`)];
  await one.stop();
  for (const error of failed) t.equal((await error).code, "RESOURCE_UNAVAILABLE");
});

t.test("serves as the port SqlRunner", async (t) => {
  const runner = sqlRunner(db);
  t.same([...(await runner.query("select $1::int as n", [4]))], [{ n: 4 }]);
  const sum = await runner.transaction(async (inner) => {
    await inner.query("update accounts set balance = $1", [11]);
    return (await inner.query<{ sum: string }>("select sum(balance) as sum from accounts"))[0]?.sum;
  });
  t.equal(sum, "22");
  await failure(
    runner.transaction(async (inner) => {
      await inner.query("update accounts set balance = 12");
      throw new Error("no");
    }),
  );
  t.equal(await balance(1), 11);
});

t.test(
  "an open transaction serves as the port SqlRunner: what it stores lasts or goes with the transaction",
  async (t) => {
    for (const [end, expected] of [
      ["rollback", 100],
      ["commit", 31],
    ] as const) {
      await using open = await begin(db);
      const runner = sqlRunner(open);
      await runner.query("update accounts set balance = $1 where id = 1", [30]);
      const after = await runner.transaction(async (inner) => {
        await inner.query("update accounts set balance = balance + 1 where id = 1");
        return (await inner.query<{ balance: number }>("select balance from accounts where id = 1"))[0]?.balance;
      });
      t.equal(after, 31);
      const undone = runner.transaction(async (inner) => {
        await inner.query("update accounts set balance = 99");
        throw new Error("no");
      });
      t.match(await failure(undone), { message: "no" });
      t.equal(await balance(1), 100, "others do not see it yet");
      await open[end]();
      t.equal(await balance(1), expected);
      t.match(await failure(runner.query("select 1")), { code: "DATABASE_LEASE_ENDED" });
    }
    const within = await transaction(db, (open) => sqlRunner(open).query("select 1 as one"));
    t.same([...within], [{ one: 1 }]);
  },
);

t.test("a transaction within that of a SqlRunner is a savepoint", async (t) => {
  await sqlRunner(db).transaction(async (runner) => {
    await runner.query("update accounts set balance = 5 where id = 1");
    const undone = runner.transaction(async (inner) => {
      await inner.query("update accounts set balance = 6 where id = 1");
      throw new Error("no");
    });
    await failure(undone);
  });
  t.equal(await balance(1), 5);
});

t.test("refuses databases that are not ours", async (t) => {
  t.equal((await failure(begin({} as Database))).code, "DATABASE_NOT_MANAGED");
  t.throws(() => sqlRunner({ $client: db.$client }), { code: "DATABASE_NOT_MANAGED" });
  await using open = await begin(db);
  t.equal(
    (await failure(begin(open as unknown as Database))).code,
    "DATABASE_NOT_MANAGED",
    "a transaction has savepoints instead",
  );
});

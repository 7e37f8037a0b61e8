import { lazy, resource, when, type StewardError } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container } from "../src/index.ts";

const failureOf = (promise: Promise<unknown>): Promise<StewardError | undefined> =>
  promise.then(
    () => undefined,
    (error: unknown) => error as StewardError, // what restarts and lazy starts reject with
  );

/** Names what is up, with a number for each instance. */
class Up {
  readonly names = new Set<string>();
  #made = 0;

  readonly start = (name: string): string => {
    const part = `${name} ${++this.#made}`;
    this.names.add(part);
    return part;
  };

  readonly stop = (part: string): void => void this.names.delete(part);
}

interface Lazy {
  /** Needs what is restarted. */
  readonly late: () => Promise<string>;
  /** Has nothing to do with it. */
  readonly free: () => Promise<string>;
}

interface Course {
  /** What a new instance does in its start. */
  readonly use?: (needs: Lazy) => unknown;
  /** How long the start of `late` takes, and whether it fails. */
  readonly lateMs?: number;
  readonly lateFails?: boolean;
  /** When a new instance beside it fails to start. */
  readonly failsAfterMs?: number;
}

/** A container in which everything is about to be replaced by a restart of `db`. */
async function world({ use = () => {}, lateMs = 50, lateFails = false, failsAfterMs }: Course) {
  const clock = new FakeClock();
  const up = new Up();
  let lateEndedAt: number | undefined;
  let isNew = false;
  const db = resource("db", { start: () => up.start("db"), stop: up.stop });
  const extra = resource("extra", {
    start: () => up.start("extra"),
    stop: async (part) => {
      await clock.sleep(20);
      up.stop(part);
    },
  });
  const late = resource("late", {
    needs: { db, extra },
    start: async ({ db, extra }, { signal }) => {
      await clock.sleep(lateMs, signal).finally(() => (lateEndedAt = clock.now()));
      if (lateFails) throw new Error("no memory");
      return up.start(`late of ${db} and ${extra}, no.`);
    },
    stop: up.stop,
  });
  const free = resource("free", {
    start: async () => {
      await clock.sleep(5_000);
      return up.start("free");
    },
    stop: up.stop,
  });
  const user = resource("user", {
    needs: { db, late: lazy(late), free: lazy(free) },
    start: async (needs) => {
      if (isNew) await use(needs);
      return needs;
    },
  });
  const other = resource("other", {
    needs: { db },
    start: async () => {
      if (!isNew || failsAfterMs === undefined) return;
      await clock.sleep(failsAfterMs);
      throw new Error("the disk is full");
    },
  });
  const running = await container([user, other], { clock }).start();
  isNew = true;
  return { clock, up, db, extra, late, user, running, lateEndedAt: () => lateEndedAt };
}

t.test("what a new instance starts lazily and does not wait for is part of the restart", async (t) => {
  const { clock, up, db, extra, late, running } = await world({ use: ({ late }) => void late() });
  await clock.runUntil(running.restart(db));
  t.equal(clock.now(), 50);
  t.strictSame([...up.names], ["db 2", "extra 3", "late of db 2 and extra 3, no. 4"]);
  t.strictSame([running.get(db), running.get(extra), running.get(late)], [...up.names]);
  await clock.runUntil(running.stop());
  t.equal(up.names.size, 0);
});

t.test("what a new instance starts lazily once it is in use is part of the container", async (t) => {
  const { clock, up, db, late, user, running } = await world({});
  await clock.runUntil(running.restart(db));
  const used = await clock.runUntil(running.get(user).late());
  t.equal(used, "late of db 2 and extra 3, no. 4");
  t.equal(running.get(late), used);
  await clock.runUntil(running.stop());
  t.equal(up.names.size, 0);
});

t.test("a restart does not wait for what a new instance starts lazily beside it", async (t) => {
  const { clock, up, db, running } = await world({ use: ({ free }) => void free() });
  await clock.runUntil(running.restart(db));
  t.equal(clock.now(), 0);
  await clock.advance(5_000);
  t.strictSame([...up.names], ["db 2", "free 3"]);
  await clock.runUntil(running.stop());
  t.equal(up.names.size, 0);
});

t.test("a new instance learns why what it wants lazily does not start, and may do without it", async (t) => {
  let failure: StewardError | undefined;
  const use = async ({ late }: Lazy) => void (failure = await failureOf(late()));
  const { clock, up, db, user, running } = await world({ use, lateFails: true });
  await clock.runUntil(running.restart(db));
  t.match(failure, { code: "START_FAILED", message: /^"late" failed in start after 50 ms: no memory/ });
  t.strictSame([...up.names], ["db 2"], "what it had started is stopped");
  await t.rejects(clock.runUntil(running.get(user).late()), { code: "START_FAILED" }, "it is tried again");
  await clock.runUntil(running.stop());
});

t.test("when a restart fails, what new instances have begun lazily is given up before it ends", async (t) => {
  const { clock, up, db, running, lateEndedAt } = await world({
    use: ({ late }) => void failureOf(late()),
    lateMs: 5_000,
    failsAfterMs: 10,
  });
  const failure = await clock.runUntil(failureOf(running.restart(db)));
  t.match(failure, { code: "RESTART_FAILED", message: /the disk is full; the old one stays in use$/ });
  t.equal(lateEndedAt(), 10);
  t.equal(clock.now(), 30, "what it had started is stopped too");
  t.strictSame([...up.names], ["db 1"]);
  await clock.runUntil(running.stop());
});

t.test("a caller that goes while a restart waits for what new instances start lazily gives that up", async (t) => {
  const { clock, up, db, running, lateEndedAt } = await world({
    use: ({ late }) => void failureOf(late()),
    lateMs: 5_000,
  });
  const failure = failureOf(running.restart(db, { timeoutMs: 1_000 }));
  await clock.advance(1_000);
  t.match(await failure, { code: "RESTART_FAILED", message: /its caller's time is over; the old one stays in use$/ });
  t.equal(lateEndedAt(), 1_000);
  await clock.advance(5_000);
  t.equal(running.get(db), "db 1");
  t.strictSame([...up.names], ["db 1"]);
  await clock.runUntil(running.stop());
});

t.test(
  "a branch that a restart is the first to choose starts once, also where a lazy need asks for it meanwhile",
  async (t) => {
    for (const isAskedFor of [false, true]) {
      const clock = new FakeClock();
      const up = new Up();
      let remote = false;
      const config = resource("config", { start: () => ({ remote }) });
      const smtp = resource("smtp", {
        start: async () => {
          await clock.sleep(50);
          return up.start("smtp");
        },
        stop: up.stop,
      });
      const printed = resource("printed", { start: () => "printed" });
      const mailer = resource("mailer", {
        needs: { mail: when(config, (c) => c.remote, smtp, printed) },
        start: ({ mail }) => mail,
      });
      const user = resource("user", { needs: { smtp: lazy(smtp) }, start: ({ smtp }) => smtp });
      const running = await container([mailer, user], { clock }).start();
      t.equal(running.get(mailer), "printed");
      remote = true;
      const restarted = running.restart(config);
      await clock.advance(10);
      const used = isAskedFor ? running.get(user)() : "smtp 1";
      await clock.runUntil(Promise.all([restarted, used]));
      t.strictSame([await used, running.get(mailer), running.get(smtp)], ["smtp 1", "smtp 1", "smtp 1"]);
      await clock.runUntil(running.stop());
      t.equal(up.names.size, 0);
    }
  },
);

t.test("a stop while a restart waits for what new instances start lazily gives that up", async (t) => {
  const { clock, up, db, running, lateEndedAt } = await world({
    use: ({ late }) => void failureOf(late()),
    lateMs: 5_000,
  });
  const failure = failureOf(running.restart(db));
  await clock.advance(1_000);
  await clock.runUntil(running.stop());
  t.match(await failure, { code: "RESTART_FAILED", message: /the container stops/ });
  t.equal(lateEndedAt(), 1_000);
  t.equal(up.names.size, 0);
});

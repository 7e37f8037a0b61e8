import { input, lazy, resource } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container } from "../src/index.ts";

/** A definition shared by the containers of the process, with a count of its instances. */
function counted(name: string, log: string[]) {
  let made = 0;
  return resource(name, {
    lifetime: "process",
    start: () => ({ no: ++made }),
    stop: ({ no }) => void log.push(`-${name} ${no}`),
  });
}

t.test("an override of one container does not reach another through what both share", async (t) => {
  const dial = resource("dial", { lifetime: "process", start: () => "real" });
  const line = resource("line", { lifetime: "process", needs: { dial }, start: ({ dial }) => ({ dial }) });
  await using one = await container([line]).override(dial, "fake").start();
  await using two = await container([line]).start();
  await using three = await container([line]).start();
  t.equal(one.get(line).dial, "fake");
  t.equal(two.get(line).dial, "real");
  t.equal(two.get(line), three.get(line));
});

t.test("containers with different inputs have instances of their own, those with equal ones share", async (t) => {
  const url = input<string>()("url", { lifetime: "process" });
  const pool = resource("pool", { lifetime: "process", needs: { url }, start: ({ url }) => ({ url }) });
  const app = container([pool]);
  await using a = await app.start([url.is("a")]);
  await using b = await app.start([url.is("b")]);
  await using again = await app.start([url.is("a")]);
  t.equal(b.get(pool).url, "b");
  t.equal(a.get(pool), again.get(pool));
});

t.test("what needs something of its container alone is not shared", async (t) => {
  const log: string[] = [];
  const late = counted("late", log);
  const user = resource("user", { lifetime: "process", needs: { late: lazy(late) }, start: ({ late }) => late });
  const one = await container([user]).start();
  const two = await container([user]).start();
  await one.stop();
  t.equal((await two.get(user)()).no, 1, "its lazy need works after the other container has stopped");
  await two.stop();
  t.strictSame(log, ["-late 1"]);
});

t.test("a restart of what other containers hold too is refused; of what only one holds, it is done", async (t) => {
  const log: string[] = [];
  const pool = counted("pool", log);
  const one = await container([pool]).start();
  const two = await container([pool]).start();
  await t.rejects(one.restart(pool), {
    code: "RESTART_REFUSED",
    message: '"pool" is shared with 1 other container of this process: it can be restarted once no other holds it',
    retryable: true,
  });
  const also = await container([pool]).start();
  await t.rejects(one.restart(pool), { message: /is shared with 2 other containers of this process/ });
  await Promise.all([two.stop(), also.stop()]);
  await one.restart(pool);
  t.equal(one.get(pool).no, 2);
  t.strictSame(log, ["-pool 1"]);
  const three = await container([pool]).start();
  t.equal(three.get(pool), one.get(pool), "the new instance is the shared one");
  await Promise.all([one.stop(), three.stop()]);
  t.strictSame(log, ["-pool 1", "-pool 2"]);
});

t.test("after a restart that failed, the old instance is the shared one still", async (t) => {
  let starts = 0;
  const pool = resource("pool", {
    lifetime: "process",
    start: () => {
      if (++starts === 2) throw new Error("refused");
      return { no: starts };
    },
  });
  await using one = await container([pool]).start();
  await t.rejects(one.restart(pool), { code: "RESTART_FAILED", message: /refused/ });
  await using two = await container([pool]).start();
  t.equal(two.get(pool), one.get(pool));
});

t.test("what needs a shared instance that was restarted shares the one of its new need", async (t) => {
  const log: string[] = [];
  const base = counted("base", log);
  const user = resource("user", { lifetime: "process", needs: { base }, start: ({ base }) => ({ base }) });
  await using one = await container([user]).start();
  await one.restart(base);
  await using two = await container([user]).start();
  t.equal(two.get(user), one.get(user));
  t.equal(two.get(user).base.no, 2);
});

t.test("a stop that meets a shared instance which stops already waits for that before what it needs", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  let starts = 0;
  const base = counted("base", log);
  const user = resource("user", {
    lifetime: "process",
    needs: { base },
    start: ({ base }) => base,
    stop: async ({ no }) => {
      if (no === 2) await clock.sleep(300); // longer than the stop of the container waits for a restart to end
      log.push(`-user ${no}`);
    },
  });
  const slow = resource("slow", { needs: { base }, start: () => clock.sleep(++starts === 1 ? 0 : 60_000) }); // it ignores its abort
  const running = await clock.runUntil(container([user, slow], { clock }).start());
  const restarted = running.restart(base).catch((error: unknown) => error);
  await clock.advance(1);
  // The restart is given up at once, and stops what was new when the grace of the slow start is over, a second later.
  const scope = running.scope([], { base }, () => clock.sleep(1_010));
  await clock.runUntil(running.stop({ timeoutMs: 1_500 }).catch(() => {}));
  await clock.runUntil(scope.catch(() => {}));
  t.match(await clock.runUntil(restarted), { code: "RESTART_FAILED" });
  t.ok(log.indexOf("-user 2") < log.indexOf("-base 2"), log.join());
});

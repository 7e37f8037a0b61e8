import { execFileSync } from "node:child_process";
import t from "tap";
import { Alarm, failure, sleep, until } from "../src/index.ts";

t.test("until", async (t) => {
  await t.test("resolves once a condition holds, be it asynchronous", async (t) => {
    let asked = 0;
    await until(() => ++asked === 3);
    t.equal(asked, 3);
    await until(async () => (await Promise.resolve(++asked)) === 6);
    t.equal(asked, 6);
  });
  await t.test("fails with what was waited for", async (t) => {
    const error = await failure(until(() => false, "pigs fly", 20));
    t.match(error, { code: "CONDITION_NOT_MET", message: "not within 20 ms: pigs fly" });
  });
  await t.test("fails with the error of the condition", async (t) => {
    const broken = new Error("no answer");
    t.equal(await failure(until(() => Promise.reject(broken))), broken);
  });
});

t.test("failure is the error of a promise, and an error where there was none", async (t) => {
  const error = new TypeError("no");
  t.equal(await failure(Promise.reject(error)), error);
  t.match(await failure(failure(Promise.resolve(42))), { code: "DID_NOT_FAIL", message: /succeeded with 42/ });
});

t.test("sleep lets real time go by", async (t) => {
  const since = performance.now();
  await sleep(20);
  t.ok(performance.now() - since >= 19);
});

t.test("rounds follow the effort that the environment asks for", async (t) => {
  const program = `import { rounds } from ${JSON.stringify(new URL("../src/effort.js", import.meta.url).href)}; console.log(rounds(40), rounds(1));`;
  const roundsAt = (env: NodeJS.ProcessEnv): string =>
    execFileSync(process.execPath, ["--input-type=module", "--eval", program], { env, encoding: "utf8" }).trim();
  t.equal(roundsAt({}), "40 1");
  t.equal(roundsAt({ STEWARD_EFFORT: "0.2" }), "8 1");
  t.equal(roundsAt({ STEWARD_EFFORT: "100" }), "4000 100");
});

t.test("an alarm", async (t) => {
  await t.test("rings after its time, and not before", async (t) => {
    using alarm = new Alarm(30);
    await sleep(10);
    t.equal(alarm.hasRung, false);
    await until(() => alarm.hasRung);
    using other = new Alarm(5);
    other[Symbol.dispose]();
    await sleep(20);
    t.equal(other.hasRung, false, "but not one that was given up");
  });
  await t.test("does not count the time in which the process stood still", async (t) => {
    using alarm = new Alarm(30);
    for (const began = performance.now(); performance.now() - began < 100;);
    await sleep(10);
    t.equal(alarm.hasRung, false);
  });
});

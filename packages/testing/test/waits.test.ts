import { execFileSync } from "node:child_process";
import t from "tap";
import { failure, sleep, until } from "../src/index.ts";

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

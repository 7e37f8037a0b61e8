import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { container } from "@steward/container";
import { isStewardError, runWithContext } from "@steward/core";
import { failure, rounds, until, Watch } from "@steward/testing";
import t from "tap";
import { CatalogManager, model, modelCatalog, ModelManager, type ModelOptions } from "../src/index.ts";
import { onnxModel, testModel } from "../src/testing.ts";

const engine = import.meta.resolve("@steward/onnx");
const folder = mkdtempSync(join(tmpdir(), "models-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const SMALL = onnxModel({ sizes: [4, 3] });
const SLOW = onnxModel({ sizes: [4, 512, 4], ballast: 600 });
const x = (): Float32Array => Float32Array.of(1, 2, 3, 4);
const manager = (options: Partial<ModelOptions> = {}) =>
  new ModelManager({ source: { bytes: SMALL }, engine, ...options });

/** Process ids of the children of this process. */
function children(): number[] {
  const { stdout } = spawnSync("ps", ["-o", "pid=", "--ppid", String(process.pid)], { encoding: "utf8" });
  return stdout
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0 && isNode(pid));
}

function isNode(pid: number): boolean {
  return spawnSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" }).stdout.includes("worker.js");
}

t.test(
  "an engine that is killed costs the calls in it, and is back within 2 s",
  { skip: process.platform !== "linux" },
  async (t) => {
    const began = performance.now();
    await using voice = await manager({ source: { bytes: SLOW }, isolation: "process", breaker: false }).start();
    const startMs = performance.now() - began;
    const [pid = 0] = children();
    const lost = voice.client.run({ x: x() });
    await until(() => voice.stats()["inUse"] === 1, "the run to begin");
    process.kill(pid, "SIGKILL");
    const error = await failure(lost);
    t.match(error, { code: "MODEL_ENGINE_CRASHED", retryable: true, message: /ended by SIGKILL/ });
    using watch = new Watch();
    const since = performance.now();
    t.ok((await voice.client.run({ x: x() }))["y"], "what comes meanwhile waits for the new one");
    t.ok(watch.elapsed(since) < Math.max(2_000, 3 * startMs), "2 s, where the machine has nothing else to do");
    t.equal(voice.stats()["restarts"], 1);
    await voice.probe();
  },
);

t.test("kill -9 at random leaves no call without an answer", { skip: process.platform !== "linux" }, async (t) => {
  await using voice = await manager({ isolation: "process", breaker: false }).start();
  let [answered, crashed] = [0, 0];
  for (let round = 0; round < rounds(3); round++) {
    const calls = Array.from({ length: 20 }, () =>
      voice.client.run({ x: x() }).then(
        () => answered++,
        (error: unknown) => void (isStewardError(error, "MODEL_ENGINE_CRASHED") && crashed++),
      ),
    );
    if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const pid of children()) process.kill(pid, "SIGKILL");
    await Promise.all(calls);
  }
  t.equal(answered + crashed, 20 * rounds(3), "each has an answer or says why not");
  // The last kill may hit after the last answer, and so the next call.
  const isAnswered = (): Promise<boolean> =>
    voice.client.run({ x: x() }).then(
      () => true,
      () => false,
    );
  await until(isAnswered, "it answers again");
});

t.test(
  "renewals at once, or overtaken by a stop, leave no engine",
  { skip: process.platform !== "linux" },
  async (t) => {
    await using voice = await manager({ isolation: "process" }).start();
    await Promise.all([voice.renew(), voice.renew()]);
    await until(() => children().length === 1, "one engine is left");
    const renewing = voice.renew().catch(() => {});
    await voice.stop();
    await renewing;
    await until(() => children().length === 0, "none is left");
    t.pass("all have ended");
  },
);

t.test("a run that takes too long is cut off in a process, and makes a thread unhealthy", async (t) => {
  const slower = onnxModel({ sizes: [4, 512, 4], ballast: 6_000 }); // tens of ms on any machine
  const options = { source: { bytes: slower }, runTimeoutMs: 5, breaker: false as const };
  // A busy machine takes its time to load so many nodes.
  const slow = new ModelManager({ ...options, engine, isolation: "process" }, { startTimeoutMs: 300_000 });
  await using voice = await slow.start();
  await t.rejects(voice.client.run({ x: x() }), { code: "MODEL_ENGINE_CRASHED", message: /a run took more than 5 ms/ });
});

t.test("the event loop goes on while a model runs, and a stop in the middle of a run ends the process with 0", (t) => {
  const file = join(folder, "slow.onnx");
  writeFileSync(file, onnxModel({ sizes: [4, 512, 4], ballast: 1_000 }));
  const program = (end: string): string => `
    import { ModelManager } from ${JSON.stringify(new URL("../src/index.js", import.meta.url).href)};
    const voice = await new ModelManager({ source: { file: ${JSON.stringify(file)} }, engine: ${JSON.stringify(engine)} }).start();
    const run = voice.client.run({ x: new Float32Array(4) }).then(() => console.log("answered"), (error) => console.log(error.code));
    await new Promise((resolve) => setTimeout(resolve, 10));
    ${end}`;
  for (const [end, out] of [
    ["await voice.stop();", "RESOURCE_UNAVAILABLE|answered"],
    ["process.exit(0);", "|answered"],
    ["await run;", "answered"],
  ] as const) {
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", program(end)], {
      encoding: "utf8",
      timeout: 20_000,
    });
    t.same([run.status, run.stderr], [0, ""], end);
    t.match(run.stdout.trim(), new RegExp(`^(${out})$`));
  }
  t.end();
});

t.test("a package without its engine loads nothing of it", (t) => {
  const program = `
    import { registerHooks, createRequire } from "node:module";
    await import(${JSON.stringify(new URL("../src/index.js", import.meta.url).href)});
    console.log(Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes("onnx")).length);`.replace(
    "registerHooks, ",
    "",
  );
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  t.equal(run.stdout.trim(), "0");
  t.end();
});

t.test("a definition is ready when its model is, and another stands for it in tests", async (t) => {
  const voice = model("voice", { source: { bytes: SMALL }, engine, golden: [{ input: { x: x() } }], workers: 2 });
  await using running = await container([voice]).start();
  t.ok((await running.get(voice).run({ x: x() }))["y"]);
  const app = container([voice]).override(voice, testModel.definition(voice));
  await using test = await app.start();
  t.equal((await test.get(voice).run({ x: Float32Array.of(5) }))["y"]?.data[0], 5);
  await using alone = await testModel().start();
  t.equal(alone.name, "model");
});

const home = join(folder, "catalog");
for (const [name, size] of [
  ["a", 100],
  ["b", 100],
  ["c", 100],
  ["large", 1_000],
] as const) {
  mkdirSync(join(home, name, "1"), { recursive: true });
  writeFileSync(join(home, name, "1", "model.onnx"), new Uint8Array(size));
}
mkdirSync(join(home, "real", "1"), { recursive: true });
writeFileSync(join(home, "real", "1", "model.onnx"), SMALL);
const compute = {
  inputs: [{ name: "x", type: "float32", shape: ["n", 1] }],
  outputs: [],
  run: (feeds: object) => ({ ...feeds }),
};

t.test("a catalog loads a model once, however many ask, and refuses names that are none", async (t) => {
  await using models = await new CatalogManager({ folder: home, budgetBytes: 10_000, engine }).start();
  const { client } = models;
  t.same(await client.names(), ["a", "b", "c", "large", "real"]);
  const uses = await Promise.all(Array.from({ length: 20 }, () => client.use("real", (real) => real.run({ x: x() }))));
  t.equal(uses.length, 20);
  t.match(models.stats()["loaded"], [
    { name: "real", bytes: SMALL.byteLength, leases: 0, device: "cpu", version: "1", phase: "ready" },
  ]);
  t.equal(models.stats()["peakBytes"], SMALL.byteLength, "loaded once");
  await t.rejects(
    client.use("reel", () => 1),
    { code: "MODEL_UNKNOWN", message: /no model "reel"; did you mean real\?/ },
  );
  for (const name of ["../../etc", "..", "a/1", "", "constructor", "a\0"])
    await t.rejects(
      client.use(name, () => 1),
      { code: "MODEL_UNKNOWN" },
    );
  await t.rejects(
    client.use("real", () => 1, { version: 7 }),
    { code: "MODEL_UNKNOWN" },
  );
  await t.rejects(
    client.use("a", () => 1),
    { code: "MODEL_INVALID_FILE" },
    "bytes that are no model",
  );
  t.equal((models.stats()["loaded"] as readonly unknown[]).length, 1, "what did not load holds nothing");
  await t.rejects(
    client.use("real", () => 1, { versions: 1 } as never),
    { code: "OPTIONS_INVALID" },
  );
  await models.probe();
});

t.test("a model that a request loaded is used by others after that request has ended", async (t) => {
  await using models = await new CatalogManager({ folder: home, budgetBytes: 1_000_000, engine }).start();
  const run = () => models.client.use("real", (model) => model.run({ x: x() }));
  const gone = new AbortController();
  const request = { signal: gone.signal, deadline: performance.now() + 60_000 };
  t.ok((await runWithContext(request, run))["y"]);
  gone.abort(new Error("the caller has gone"));
  t.ok((await run())["y"]);
});

t.test("what is unused for longest makes room; what is in use never does", async (t) => {
  await using models = await new CatalogManager({ folder: home, budgetBytes: 250, compute }).start();
  const { client } = models;
  const names = (): readonly unknown[] =>
    (models.stats()["loaded"] as readonly { name: string }[]).map(({ name }) => name).sort();
  await client.use("a", () => 1);
  await client.use("b", () => 1);
  await client.use("a", () => 1);
  await client.use("c", () => 1);
  t.same(names(), ["a", "c"], "b was unused for longest");
  await client.use("a", async () => {
    await client.use("b", () => 1);
    t.same(names(), ["a", "b"], "a is in use");
    await client.use("b", async () => {
      const error = await failure(client.use("c", () => 1));
      t.match(error, {
        code: "MODEL_BUDGET",
        retryable: true,
        message: /c needs 100 bytes of the budget of 250; in use: .*a 100 \(1 uses\)/,
      });
    });
  });
  const large = await failure(client.use("large", () => 1));
  t.match(large, { code: "MODEL_BUDGET", retryable: false, message: /large needs 1000 bytes/ });
  t.equal(models.stats()["evictions"], 2);
  t.ok(Number(models.stats()["peakBytes"]) <= 250);
});

t.test("random uses keep the budget, and hand out only what is ready", async (t) => {
  await using models = await new CatalogManager({ folder: home, budgetBytes: 210, compute, maxPending: 10 }).start();
  let seed = 7;
  const random = (most: number): number => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) % most;
  let [done, refused] = [0, 0];
  const held = new Map<string, number>();
  const user = async (): Promise<void> => {
    for (let round = 0; round < rounds(20); round++) {
      const name = ["a", "b", "c"][random(3)] ?? "a";
      await models.client
        .use(name, async (one) => {
          held.set(name, (held.get(name) ?? 0) + 1);
          t.ok([...held.values()].filter((count) => count > 0).length <= 2, "no more than fit are in use");
          if (random(2) === 0) await new Promise((resolve) => setImmediate(resolve));
          await one.run({ x: Float32Array.of(1) });
          held.set(name, (held.get(name) ?? 0) - 1);
          done++;
        })
        .catch((error: unknown) => {
          if (!isStewardError(error, "MODEL_BUDGET")) throw error;
          refused++;
        });
    }
  };
  await Promise.all([user(), user(), user(), user()]);
  t.ok(done > 0 && done + refused === 4 * rounds(20));
  t.ok(Number(models.stats()["peakBytes"]) <= 210);
  await models.stop();
  t.equal(models.stats()["bytes"], 0);
});

t.test("a catalog is a resource, and options that are wrong are refused", async (t) => {
  const models = modelCatalog("models", { folder: home, budgetBytes: 1_000, engine });
  await using running = await container([models]).start();
  t.equal(await running.get(models).use("real", ({ version }) => version), "1");
  for (const wrong of [
    { folder: "", budgetBytes: 1 },
    { folder: "x", budgetBytes: 0 },
    { folder: "x" },
    { folder: "x", budgetBytes: 1, source: {} },
  ])
    t.throws(() => new CatalogManager(wrong as never), { code: "OPTIONS_INVALID" });
  await t.rejects(new CatalogManager({ folder: join(folder, "none"), budgetBytes: 1 }).start(), {
    code: "MODEL_UNKNOWN",
  });
});

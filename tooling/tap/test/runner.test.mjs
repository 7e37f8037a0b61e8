import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";

const home = join(import.meta.dirname, "..");

/** Runs the runner in a package that has these test files. */
function runIn(t, files, ...args) {
  const directory = mkdtempSync(join(tmpdir(), "steward-tap-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, "package.json"), JSON.stringify({ name: "@x/thing", type: "module" }));
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(home, join(directory, "node_modules/tap"));
  for (const [name, text] of Object.entries(files)) {
    const file = join(directory, "test", name);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, `import t from "tap";\n${text}`);
  }
  // What tap gives to us is not what the runner gets from a person.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP/.test(name)));
  const command = [join(home, "run.mjs"), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: directory, env, encoding: "utf8" });
  const result = join(directory, ".results/suite.json");
  return { status, stdout, stderr, suite: existsSync(result) ? JSON.parse(readFileSync(result, "utf8")) : undefined };
}

const groups = `
t.test("group", async (t) => {
  await t.test("adds", async (t) => { t.ok(true); t.ok(true); });
  await t.test("subtracts", async (t) => t.equal(1, 2, "one is two"));
});
t.test("needs a server", { skip: "no server" }, () => {});
`;

t.test("a run counts the innermost subtests, and writes and prints the counts", async (t) => {
  const { status, stdout, stderr, suite } = runIn(t, { "a.test.mjs": groups });
  t.equal(status, 1);
  t.same(suite, { name: "@x/thing", passed: 1, failed: 1, skipped: 1, node: process.version });
  t.match(stdout, `@x/thing on Node ${process.version}: 1 passed, 1 failed, 1 skipped\n`);
  t.match(
    stderr,
    /^FAIL test\/a.test.mjs > group > subtracts\n +one is two\n +at test\/a.test.mjs:5:\d+\n[^]*-2\n +\+1\n/,
  );
});

t.test("a file that fails outside of its subtests, breaks off or has no case is a failure", async (t) => {
  await t.test("at load", async (t) => {
    t.match(runIn(t, { "a.test.mjs": 'throw new Error("boom")' }), { status: 1, suite: { passed: 0, failed: 1 } });
  });
  await t.test("by its exit code, after cases that passed", async (t) => {
    const text = 't.test("x", async (t) => t.ok(true)); setTimeout(() => process.exit(3), 50);';
    t.match(runIn(t, { "a.test.mjs": text }), { status: 1, suite: { passed: 1, failed: 1 }, stderr: /"exitCode": 3/ });
  });
  await t.test("by an error that nothing caught, thrown or rejected after cases that passed", async (t) => {
    for (const act of ['setTimeout(() => { throw new Error("boom"); }, 5)', 'Promise.reject(new Error("boom"))']) {
      const text = `t.test("x", async (t) => t.ok(true)); t.test("y", async (t) => {
        ${act};
        await new Promise((resolve) => setTimeout(resolve, 5_000));
      });`;
      const { status, stderr } = runIn(t, { "a.test.mjs": text });
      t.equal(status, 1);
      t.match(stderr, /boom/);
    }
  });
  await t.test("by a timeout of a group", async (t) => {
    const text = 't.test("x", { timeout: 50 }, () => new Promise((resolve) => setTimeout(resolve, 200)));';
    t.match(runIn(t, { "a.test.mjs": text }), { status: 1, suite: { passed: 0, failed: 1 }, stderr: /timeout!/ });
  });
  await t.test("without a file", async (t) => {
    t.match(runIn(t, {}), { status: 1, suite: { passed: 0, failed: 1 }, stderr: /has no test file/ });
  });
});

t.test("a file that leaves something behind that is unref'ed fails, and says where it was made", async (t) => {
  await t.test("a timer", async (t) => {
    const text = 't.test("x", async (t) => { setInterval(() => {}, 10).unref(); t.ok(true); });';
    const { status, stderr } = runIn(t, { "a.test.mjs": text });
    t.equal(status, 1);
    t.match(stderr, /LEFT OPEN at the end of test\/a.test.mjs:\n +a timer, set at .*a.test.mjs:2:\d+/);
  });
  await t.test("a descriptor", { skip: process.platform === "linux" ? false : "no /proc" }, async (t) => {
    const text =
      'import net from "node:net"; t.test("x", async (t) => { net.createServer().listen(0).unref(); t.ok(true); });';
    t.match(runIn(t, { "a.test.mjs": text }), { status: 1, stderr: /descriptor \d+: socket:/ });
  });
  await t.test("but not what is cleared, fires once and soon, or closes by itself", async (t) => {
    const text = `t.test("x", async (t) => {
      clearInterval(setInterval(() => {}, 10).unref());
      setTimeout(() => {}, 900).unref();
      t.ok(true);
    });`;
    t.match(runIn(t, { "a.test.mjs": text }), { status: 0, stderr: "" });
  });
});

t.test("the quick loop leaves integration out and takes parts of names", async (t) => {
  const good = 't.test("works", async (t) => t.ok(true));';
  const files = { "one.test.mjs": good, "two.test.mjs": good, "integration/three.test.mjs": good };
  t.match(runIn(t, files, "--quick"), { status: 0, stdout: /2 passed, 0 failed/, suite: undefined });
  t.match(runIn(t, files, "--each", "thr"), { status: 0, stdout: /ok +works\nok +test\/integration\/three.test.mjs/ });
});

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";

const home = join(import.meta.dirname, "..");

/** A package that has these test files. */
function packageOf(t, files) {
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
  return directory;
}

function runnerOf(program, args, cwd) {
  // What tap gives to us is not what the runner gets from a person.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP/.test(name)));
  return spawnSync(process.execPath, [join(home, program), ...args], { cwd, env, encoding: "utf8" });
}

function suiteOf(directory) {
  const result = join(directory, ".results/suite.json");
  return existsSync(result) ? JSON.parse(readFileSync(result, "utf8")) : undefined;
}

/** Runs the runner in a package that has these test files. */
function runIn(t, files, ...args) {
  const directory = packageOf(t, files);
  const { status, stdout, stderr } = runnerOf("run.mjs", args, directory);
  return { status, stdout, stderr, suite: suiteOf(directory) };
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
  await t.test("by a crash, after cases that passed", async (t) => {
    // The last case is not reported yet: details of it could follow.
    const text = `for (const x of "12") t.test(x, async (t) => t.ok(true)); t.test("y", async () => {
      setTimeout(() => process.kill(process.pid, "SIGKILL"), 50);
      await new Promise((resolve) => setTimeout(resolve, 5_000));
    });`;
    t.match(runIn(t, { "a.test.mjs": text }), { status: 1, suite: { passed: 1, failed: 1 }, stderr: /"SIGKILL"/ });
  });
  await t.test("by a timeout of a group", async (t) => {
    const text = 't.test("x", { timeout: 50 }, () => new Promise((resolve) => setTimeout(resolve, 200)));';
    t.match(runIn(t, { "a.test.mjs": text }), { status: 1, suite: { passed: 0, failed: 1 }, stderr: /timeout!/ });
  });
  await t.test("without a file", async (t) => {
    t.match(runIn(t, {}), { status: 1, suite: { passed: 0, failed: 1 }, stderr: /has no test file/ });
  });
});

t.test("a report is of its file alone, not of the tests and threads that the file starts", async (t) => {
  const inner = `import t from "tap"; t.test("inner", async (t) => t.ok(true));`;
  const text = `
    import { spawnSync } from "node:child_process"; import { once } from "node:events"; import { Worker } from "node:worker_threads";
    t.test("x", async (t) => {
      const inner = ${JSON.stringify(inner)};
      const { status } = spawnSync(process.execPath, [...process.execArgv, "--input-type=module", "-e", inner]);
      t.equal(status, 0);
      const thread = new Worker("0", { eval: true });
      await once(thread, "exit");
    });`;
  const { status, suite, stderr } = runIn(t, { "a.test.mjs": text });
  t.match({ status, suite }, { status: 0, suite: { passed: 1, failed: 0 } }, stderr);
});

t.test("several packages run in one queue, each with its own line and result", async (t) => {
  const good = 't.test("works", async (t) => t.ok(true));';
  const bad = 't.test("fails", async (t) => t.ok(false));';
  const [a, b] = [packageOf(t, { "a.test.mjs": good, "b.test.mjs": good }), packageOf(t, { "a.test.mjs": bad })];
  const { status, stdout } = runnerOf("run-all.mjs", [a, b], tmpdir());
  t.equal(status, 1);
  t.match(stdout, "@x/thing on Node");
  t.match([a, b].map(suiteOf), [
    { passed: 2, failed: 0 },
    { passed: 0, failed: 1 },
  ]);
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
  await t.test("but a thread answers only for itself: descriptors are those of its process", async (t) => {
    const text = `
      import { once } from "node:events"; import net from "node:net"; import { Worker } from "node:worker_threads";
      t.test("x", async (t) => {
        const program = 'import { parentPort } from "node:worker_threads"; parentPort.postMessage("up"); parentPort.once("message", () => {})';
        const thread = new Worker(new URL("data:text/javascript," + encodeURIComponent(program)));
        await once(thread, "message");
        const server = net.createServer().listen(0);
        await once(server, "listening");
        thread.postMessage("end");
        const [code] = await once(thread, "exit");
        server.close();
        t.equal(code, 0);
      });`;
    t.match(runIn(t, { "a.test.mjs": text }), { status: 0, stderr: "" });
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

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { readReport } from "../report.mjs";

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

t.test("files share a process, one after the other, and each has its own cases, teardowns and failures", async (t) => {
  const good = (name) =>
    `t.test("works", async (t) => t.ok(globalThis.files = [globalThis.files ?? [], "${name}"].flat()));`;
  await t.test("but none below integration and none that is said to be alone", async (t) => {
    const same = `t.test("is with", async (t) => t.equal(String(globalThis.files),`;
    const { status, stdout, stderr } = runIn(
      t,
      {
        "a.test.mjs": good("a"),
        "b.alone.test.mjs": `${good("b")} ${same} "b"));`,
        "c.test.mjs": `${good("c")} ${same} "a,c"));`,
        "integration/d.test.mjs": `${good("d")} ${same} "d"));`,
      },
      "--each",
    );
    t.equal(status, 0, stderr);
    t.match(stdout, "7 passed, 0 failed");
    for (const file of ["a", "b.alone", "c", "integration/d"])
      t.match(stdout, new RegExp(`^ok +test/${file}.test.mjs \\(\\d+.\\d s, CPU \\d.\\d s\\)$`, "m"));
  });
  await t.test("a teardown and a hook are of the file that sets them", async (t) => {
    const hooks = `globalThis.open = 0; t.beforeEach(() => { open++; }); t.teardown(() => { open = "closed"; });
      t.test("one", async (t) => t.equal(open, 1)); t.test("two", async (t) => t.equal(open, 2));`;
    const files = { "a.test.mjs": hooks, "b.test.mjs": 't.test("next", async (t) => t.equal(open, "closed"));' };
    t.match(runIn(t, files), { status: 0, suite: { passed: 3, failed: 0 }, stderr: "" });
  });
  await t.test("what fails in one is of that one, and the others run", async (t) => {
    const bad = {
      "b.test.mjs": 't.test("is wrong", async (t) => t.equal(1, 2, "one is two"));',
      "c.test.mjs": 't.test("works", async (t) => t.ok(true)); throw new Error("boom");',
      "d.test.mjs": "export {};",
      "e.test.mjs": 't.setTimeout(50); t.test("x", () => new Promise((resolve) => setTimeout(resolve, 200)));',
    };
    const { status, suite, stderr } = runIn(t, { "a.test.mjs": good("a"), ...bad, "g.test.mjs": good("g") });
    t.match({ status, suite }, { status: 1, suite: { passed: 3, failed: 4 } });
    t.match(stderr, /^FAIL test\/d.test.mjs\n +it has no case\n/m);
    t.match(stderr, /^FAIL test\/b.test.mjs > is wrong\n +one is two\n/m);
    t.match(stderr, /^FAIL test\/c.test.mjs\n +boom\n/m);
    t.match(stderr, /^FAIL test\/e.test.mjs > x\n +timeout!\n/m);
  });
  await t.test("what one leaves open fails that one", async (t) => {
    const leaving = 't.test("x", async (t) => { setInterval(() => {}, 10); t.ok(true); });';
    const cwd = packageOf(t, { "a.test.mjs": leaving, "b.test.mjs": good("b") });
    const files = ["test/a.test.mjs", "test/b.test.mjs"];
    const report = join(cwd, "report");
    const preload = `--import=${join(home, "preload.mjs")}`;
    const { status, stderr } = spawnSync(process.execPath, [preload, join(home, "together.mjs"), ...files], {
      cwd,
      env: { PATH: process.env.PATH, STEWARD_REPORT: report, TAP_TIMEOUT: "10" },
      encoding: "utf8",
    });
    t.equal(status, 1);
    t.match(stderr, /^LEFT OPEN at the end of test\/a.test.mjs:\n +a timer, set at .*a.test.mjs:2:\d+/);
    t.equal(stderr.match(/LEFT OPEN/g)?.length, 1, stderr);
    const [a, b] = readReport(report, files, { code: status, signal: null });
    t.match(a.cases, [{ kind: "passed" }, { kind: "failed", result: { name: "it left something open" } }]);
    t.match(b.cases, [{ kind: "passed" }]);
  });
  await t.test("a crash fails the file, and those that did not run for it", async (t) => {
    const crash = 't.test("x", () => process.kill(process.pid, "SIGKILL"));';
    const files = { "a.test.mjs": good("a"), "b.test.mjs": crash, "c.test.mjs": good("c") };
    const { status, suite, stderr } = runIn(t, files);
    t.match({ status, suite }, { status: 1, suite: { passed: 1, failed: 2 } });
    for (const file of "bc") t.match(stderr, new RegExp(`^FAIL test/${file}.test.mjs\n`, "m"));
    t.match(stderr, /"signal": "SIGKILL"/);
  });
  await t.test("also where there is nothing to do but to wait, of which Node says that the process ends", async (t) => {
    const idle = `t.test("waits", async (t) => {
      process.once("beforeExit", () => setTimeout(() => process.emit("on"), 5));
      await new Promise((resolve) => process.once("on", resolve));
      t.ok(true);
    });`;
    t.match(runIn(t, { "a.test.mjs": idle, "b.test.mjs": good("b") }), { status: 0, suite: { passed: 2, failed: 0 } });
  });
  await t.test("more of them than one process takes", async (t) => {
    const names = Array.from({ length: 10 }, (_, i) => `${i}.test.mjs`);
    const text = 't.test("shares", async (t) => { globalThis.n = (globalThis.n ?? 0) + 1; t.ok(n <= 5); });';
    t.match(runIn(t, Object.fromEntries(names.map((name) => [name, text]))), { status: 0, suite: { passed: 10 } });
  });
});

t.test("the quick loop leaves integration out and takes parts of names", async (t) => {
  const good = 't.test("works", async (t) => t.ok(true));';
  const files = { "one.test.mjs": good, "two.test.mjs": good, "integration/three.test.mjs": good };
  t.match(runIn(t, files, "--quick"), { status: 0, stdout: /2 passed, 0 failed/, suite: undefined });
  t.match(runIn(t, files, "--each", "thr"), { status: 0, stdout: /ok +works\nok +test\/integration\/three.test.mjs/ });
});

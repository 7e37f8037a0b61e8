import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { until } from "@steward/testing";
import t from "tap";
import { Folder } from "../folder.ts";

const program = fileURLToPath(new URL("programs/app.js", import.meta.url));
const command = fileURLToPath(new URL("programs/command.js", import.meta.url));

/** Secrets of every kind, none of which may be shown anywhere. */
const planted = Array.from({ length: 20 }, (_, i) => `pl4nt3d-${i}-q7xw9z2k`);
const [p0 = "", p1 = "", p2 = "", p3 = "", p4 = "", p5 = "", p6 = "", p7 = "", p8 = "", p9 = ""] = planted;
const [q0 = "", q1 = "", q2 = "", q3 = "", q4 = "", q5 = "", q6 = "", q7 = "", q8 = "", q9 = ""] = planted.slice(10);

function run(file: string, args: readonly string[], folder: Folder, variables: Readonly<Record<string, string>>) {
  const env = { PATH: process.env["PATH"], FOLDER: folder.path, ...variables };
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    env,
    encoding: "utf8",
    timeout: 120_000,
  });
  return { status, stdout, stderr, all: stdout + stderr };
}

function shownOf(output: string): string[] {
  return planted.filter((secret) => output.includes(secret) || output.includes(Buffer.from(secret).toString("base64")));
}

t.test("with wrong settings a process exits with 1, opens no port, and says all in one message", async (t) => {
  using folder = new Folder({ "app.yaml": "prot: 1\n", "app.json": '{ "debug": "x" }', ".env": "CLIPS_HOTS=a\n" });
  const { status, all } = run(program, [], folder, { CLIPS_LOG_LEVEL: "inof" });
  t.equal(status, 1);
  t.notMatch(all, /LISTENS/);
  for (const part of [
    /5 options are wrong/,
    /prot: .*port/,
    /debug: expected boolean/,
    /CLIPS_HOTS.*CLIPS_HOST/,
    /logLevel.*"info"/,
    /database\.url: is missing/,
  ])
    t.match(all, part);
});

t.test("20 planted secrets: none is in any output, of what is right, wrong, or crashes", async (t) => {
  using folder = new Folder({
    "app.yaml": `signingKey: ${p0}-and-more-of-it-so-that-it-is-long\n`,
    "secrets/database.url": `postgres://${p1}:${p2}@db/clips?token=${p3}`,
  });
  const good = run(program, [], folder, { BREAKS: "yes", CLIPS_WEBHOOK: `https://host/?key=${p4}` });
  t.match(good.all, /LISTENS/);
  t.match(good.all, /\[secret\]/);
  t.match(good.all, /broken/);
  t.same(
    shownOf(good.all.replaceAll(`https://host/?key=${p4}`, "")),
    [],
    "only what the schema calls no secret is shown as it is",
  );
  const outputs = ["check", "explain", "example", "schema"].map((name) => run(command, [name], folder, {}).all);
  t.match(outputs[1], /database\.url = \[secret\]/);
  t.same(shownOf(outputs.join()), []);
  using wrong = new Folder({
    "app.yaml": `port: ${p5}\nsigningKey: ${p6}\nupload:\n  maxSize: ${p7}\n`,
    "app.json": `{ "host": "${p8}" ${p9} }`,
    ".env": `CLIPS_HOST "${q0}"\n`,
    [`secrets/${"database.ulr"}`]: q1,
  });
  const variables = {
    CLIPS_DATABASE__URL: `mysql://${q2}:${q3}@db`,
    CLIPS_DEBUG: q4,
    CLIPS_LOG_LEVEL: q5,
    CLIPS_WEBHOOK: `https://me:${q6}@host`,
    CLIPS_SIGNING_KEY_FILE: q7,
    CLIPS_PASWORD: q8,
    CLIPS_TENANTS: `{${q9}}`,
  };
  const bad = [run(program, [], wrong, variables), run(command, ["check"], wrong, variables)];
  for (const { status, all } of bad) {
    t.equal(status, 1);
    t.match(all, /\d+ options are wrong/);
    t.same(shownOf(all), []);
  }
});

t.test("commands as a process: what is wrong exits with 1, what cannot be run with 2", async (t) => {
  using folder = new Folder();
  const right = { CLIPS_DATABASE__URL: "postgres://me:k3nd7-2hf9@db" };
  t.match(run(command, [], folder, right), {
    status: 0,
    stdout: /^settings is right: 1 values from .*environment\n$/,
  });
  t.match(run(command, ["explain", "port"], folder, right), {
    status: 0,
    stdout: "port = 3000\n  from default\n",
  });
  t.match(run(command, ["check"], folder, {}), { status: 1, stderr: /database\.url: is missing/ });
  t.match(run(command, ["chekc"], folder, {}), { status: 2, stderr: /did you mean "check"/ });
});

t.test("SIGHUP reads the settings again, by onHangup of runMain", async (t) => {
  using folder = new Folder({ ".env": "CLIPS_LOG_LEVEL=info\nCLIPS_DATABASE__URL=postgres://me:k3nd7-2hf9@db\n" });
  const child = spawn(process.execPath, [program], { env: { PATH: process.env["PATH"], FOLDER: folder.path } });
  t.teardown(() => child.kill("SIGKILL"));
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  await until(() => output.includes("READY"));
  folder.write(".env", "CLIPS_LOG_LEVEL=debug\nCLIPS_DATABASE__URL=postgres://me:k3nd7-2hf9@db\n");
  child.kill("SIGHUP");
  await until(() => output.includes("GENERATION 2 debug"));
  child.kill("SIGINT");
  t.same(await once(child, "exit"), [0, null]);
});

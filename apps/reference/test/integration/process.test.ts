import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import type { DashboardView } from "@steward/dashboard";
import t from "tap";
import type { VideoPage } from "../../src/videos/videos.ts";
import { alive, ClipsProcess, eventually, Folder, leftovers, serversOf } from "./clips.ts";

// One data folder for all, as one user has; the first start makes the cluster.
const folder = await Folder.make();
t.teardown(() => folder[Symbol.asyncDispose]());
const data = folder.env;

async function add(url: string, title: string): Promise<void> {
  const response = await fetch(`${url}/api/v1/videos`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ title, sourceUrl: "https://example.com/x.mp4" }),
  });
  if (response.status !== 201) throw new Error(await response.text());
}

/** An instance keeps what it answered for a moment, by limit. */
async function titles(url: string, limit = 100): Promise<string[]> {
  const response = await fetch(`${url}/api/v1/videos?limit=${limit}`);
  const page = (await response.json()) as VideoPage; // the API says so
  return page.items.map(({ title }) => title);
}

t.test("SIGTERM ends everything that was started, and says so", async (t) => {
  await using clips = new ClipsProcess(data);
  const url = await clips.ready();
  for (const words of [
    /^Clips is ready in \d+ ms/m,
    /^ {2}db +\d+ ms/m,
    /^ {2}postgres +\d+ ms +rows are kept in /m,
    /\/readyz /,
  ])
    t.match(clips.output, words);
  t.notMatch(clips.output, /Operators of this machine/, "no port is opened that was not asked for");
  await clips.says(/^ {2}Sign in as demo with the password \S{16}\. It is not shown again\.$/m);
  t.equal((await fetch(`${url}/readyz`)).status, 200);
  await add(url, "before SIGTERM");
  const servers = await serversOf(clips.pid);
  clips.kill("SIGTERM");
  t.strictSame(await clips.ended, { code: 0, signal: null });
  t.match(clips.output, /Clips stops \(SIGTERM\), taking requests for another 3000 ms/, "it has served requests");
  t.match(clips.output, /Clips has stopped everything in \d+ ms/);
  t.equal(clips.errors, "");
  t.strictSame(await alive(servers), []);
  const { mode } = await stat(join(folder.path, "postgres/password"));
  t.equal(mode & 0o777, 0o600, "the generated password is for its owner only");
});

t.test(
  "operators see health and change the level on a port of this machine, only where one was asked for",
  async (t) => {
    const token = "h4nd-m4de-t0ken-0";
    await using clips = new ClipsProcess({ ...data, MANAGEMENT_PORT: "0", CLIPS_ADMIN_TOKEN: token });
    const url = await clips.ready();
    const [, management = ""] = /Operators of this machine are served at (\S+)/.exec(clips.output) ?? [];
    t.match(management, /^http:\/\/127\.0\.0\.1:\d+$/);
    t.equal((await fetch(`${management}/livez`)).status, 200);
    const headers = { authorization: `Bearer ${token}` };
    const view = (await (await fetch(`${management}/steward/view`, { headers })).json()) as DashboardView; // what it serves
    t.match(view, { container: "clips", phase: "ready" });
    t.ok(
      view.journal.some(({ resource, to }) => resource === "db" && to === "ready"),
      "the dashboard saw the start",
    );
    const profile = await fetch(`${management}/steward/profile?ms=20`, { method: "POST", headers });
    t.match(await profile.json(), { nodes: Array, samples: Array });
    t.equal((await fetch(`${management}/steward/profile`, { method: "POST" })).status, 401);
    const change = `${management}/log-level?level=debug&forMs=60000`;
    t.equal((await fetch(change, { method: "PUT" })).status, 401);
    t.strictSame(await (await fetch(change, { method: "PUT", headers })).json(), { level: "debug", forMs: 60_000 });
    t.match(clips.output, /"event":"level","from":"info","to":"debug"/);
    t.equal((await fetch(`${url}/log-level`, { headers })).status, 404, "callers of the API have no such route");
    await t.test("and Ctrl-C at a terminal, which npm doubles, drains and ends everything", async (t) => {
      t.strictSame(await titles(url), ["before SIGTERM"], "rows outlive a restart");
      const servers = await serversOf(clips.pid);
      clips.ctrlC();
      clips.kill("SIGINT");
      t.strictSame(await clips.ended, { code: 0, signal: null });
      t.strictSame(await alive(servers), []);
      t.strictSame(await leftovers(folder), []);
    });
  },
);

t.test("after kill -9 the next start works and keeps the rows, and a second one beside it uses them", async (t) => {
  {
    await using clips = new ClipsProcess(data);
    await add(await clips.ready(), "before kill -9");
    clips.kill("SIGKILL");
    t.strictSame(await clips.ended, { code: null, signal: "SIGKILL" });
  }
  await using first = new ClipsProcess(data);
  const url = await first.ready();
  t.strictSame(await titles(url, 99), ["before kill -9", "before SIGTERM"]);
  {
    await using second = new ClipsProcess(data);
    await add(await second.ready(), "by the second");
    t.match(second.output, /postgres .*shared with another Clips/);
    second.kill("SIGINT");
    t.equal((await second.ended).code, 0);
  }
  t.ok((await titles(url)).includes("by the second"), "the first one has its database still");
  await using third = new ClipsProcess(data);
  const thirdUrl = await third.ready();
  first.kill("SIGINT");
  t.equal((await first.ended).code, 0, "the third one does not hold it up");
  t.ok(
    await eventually(() =>
      titles(thirdUrl).then(
        (found) => found.includes("by the second"),
        () => false,
      ),
    ),
    "the third one takes the server over",
  );
  third.kill("SIGINT");
  t.equal((await third.ended).code, 0);
});

t.test("a busy port is told in words, and nothing stays behind", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.teardown(() => other.close());
  const address = other.address();
  const port = String(typeof address === "object" ? address?.port : "");
  await using clips = new ClipsProcess({ ...data, PORT: port });
  t.strictSame(await clips.ended, { code: 1, signal: null });
  t.match(
    clips.errors,
    new RegExp(
      `^START_FAILED: "server" failed in start after \\d+ ms: port ${port} of 127\\.0\\.0\\.1 belongs to another program`,
    ),
  );
  t.notMatch(clips.errors, /\n +at /, "no stack");
  await using next = new ClipsProcess({ ...data, KUBERNETES_SERVICE_HOST: "10.0.0.1" });
  await next.ready();
  await t.test(
    "a second Ctrl-C ends at once, and takes the servers with it",
    { skip: process.platform !== "linux" && "skipped: only Linux ends a server with its parent" },
    async (t) => {
      const servers = await serversOf(next.pid);
      next.kill("SIGTERM");
      await next.says(/taking requests for another 5000 ms/);
      next.kill("SIGINT");
      t.strictSame(await next.ended, { code: 130, signal: null });
      t.ok(await eventually(async () => (await alive(servers)).length === 0));
    },
  );
});

t.test("a database that cannot be reached ends the start in time, with everything stopped", async (t) => {
  await using clips = new ClipsProcess({ ...data, DATABASE_URL: "postgres://me:hush@127.0.0.1:1/clips" });
  t.strictSame(await clips.ended, { code: 1, signal: null });
  const [, tookMs] = /"db" failed in start after (\d+) ms/.exec(clips.errors) ?? [];
  t.ok(Number(tookMs) < 15_000, "within the start deadline, whatever it takes to load the program");
  t.match(clips.errors, /START_FAILED: "db" failed in start after \d+ ms: .*ECONNREFUSED.*\(tried 10 times\)/);
  t.match(clips.errors, /stopped again: .*server/);
  t.notMatch(clips.errors, /hush/);
});

t.test("wrong settings are told all at once", async (t) => {
  await using clips = new ClipsProcess({ ...data, PORT: "http", LOG_LEVEL: "loud", REDIS_URL: "hush" });
  t.strictSame(await clips.ended, { code: 1, signal: null });
  t.match(clips.errors, /^OPTIONS_INVALID: 3 options are wrong:/);
  for (const name of ["PORT", "LOG_LEVEL", "REDIS_URL"]) t.match(clips.errors, new RegExp(`\\(variable ${name}\\)`));
});

t.test("Ctrl-C in the middle of the first start unwinds it, and the next start is not troubled", async (t) => {
  await using fresh = await Folder.make();
  {
    await using clips = new ClipsProcess(fresh.env);
    await clips.says(/listening at/);
    await eventually(
      async () => (await readFile(join(fresh.path, "postgres/password"), "utf8").catch(() => "")) !== "",
    );
    const servers = await serversOf(clips.pid);
    clips.ctrlC();
    t.strictSame(await clips.ended, { code: 130, signal: null });
    t.match(clips.errors, /SIGINT received\n {2}stopped again: /);
    t.strictSame(await alive(servers), []);
    t.strictSame(await leftovers(fresh), []);
  }
  await using again = new ClipsProcess(fresh.env);
  t.strictSame(await titles(await again.ready()), []);
});

import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import t from "tap";
import { trackHandles, until } from "@steward/testing";
import {
  findRedis,
  type RedisServer,
  redisForTests,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
} from "../../src/index.ts";
import { openFolder } from "../../src/process/folder.ts";
import { launch } from "../../src/process/launch.ts";
import { claimFolder } from "../../src/process/ownership.ts";
import { startedAt } from "../../src/process/process-table.ts";
import { redisCommand, redisInfo } from "../../src/redis/resp.ts";
import { ServerProcess } from "../../src/process/server-process.ts";
import { gone, Owner, refused } from "./child.ts";

const root = await mkdtemp(join(tmpdir(), "steward-test-"));
// Other suites of this machine make temporary folders too.
process.env["TMPDIR"] = root;
// Our own launcher is what is tested here, so a server from outside does not count.
delete process.env["REDIS_URL"];
const here = await redisForTests();
await here[Symbol.asyncDispose]();
const handles = trackHandles();

t.teardown(async () => {
  await rm(root, { recursive: true, force: true });
  await handles.assertNoLeaks();
});

async function temporaryFolders(): Promise<string[]> {
  return (await readdir(root)).filter((name) => name.startsWith("steward-redis-"));
}

/** Runs `fn` with other environment variables; `undefined` takes one away. */
async function withEnvironment(variables: Record<string, string | undefined>, fn: () => Promise<void>): Promise<void> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(variables)) set(name, value);
  try {
    await fn();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

await t.test("without a Redis program a suite is told to skip in one line, and fails where CI=true", async (t) => {
  await withEnvironment({ PATH: root, CI: undefined }, async () => {
    t.equal(findRedis(), undefined);
    await using none = await redisForTests();
    t.match(none.skip, /^skipped: no Redis here .* REDIS_URL is not set\)$/);
    t.match(await refused(startRedis(), "SERVER_BINARY_MISSING"), /neither redis-server nor valkey-server.*REDIS_URL/);
  });
  await withEnvironment({ PATH: root, CI: "true" }, async () => {
    t.match(await refused(redisForTests(), "SERVER_REQUIRED"), /CI=true/);
  });
  await withEnvironment({ PATH: root, REDIS_URL: "redis://elsewhere" }, async () => {
    await using there = await redisForTests();
    t.match(there, { skip: false, url: "redis://elsewhere", server: undefined });
  });
});

await t.test("of many that want an abandoned folder at once exactly one gets it", async (t) => {
  const folder = await mkdtemp(join(root, "claimed-"));
  for (let round = 0; round < 3; round += 1) {
    const rivals = Array.from({ length: 4 }, () => new Owner(["claim", folder]));
    const answers = await Promise.all(rivals.map(async (rival) => (await rival.line()) === '{"won":true}'));
    t.equal(answers.filter(Boolean).length, 1, `round ${round}`);
    await Promise.all(rivals.map((rival) => rival.kill()));
  }
  const { claim } = await claimFolder(folder);
  t.ok(claim);
  t.match((await claimFolder(folder)).owner, { pid: process.pid });
  await claim?.release();
  t.ok((await claimFolder(folder)).claim);
  t.equal((await readdir(folder)).length, 1);
});

await t.test(
  "a temporary folder whose maker was killed before it was theirs is removed, one being made is not",
  async (t) => {
    const [left, made] = [join(root, "steward-kind-left"), join(root, "steward-kind-made")];
    for (const folder of [left, made]) await mkdir(folder);
    const ago = Date.now() / 1_000 - 61;
    await utimes(left, ago, ago);
    const { path } = await openFolder("kind");
    t.strictSame(
      (await readdir(root)).filter((name) => name.startsWith("steward-kind-")).sort(),
      [basename(made), basename(path)].sort(),
    );
  },
);

await t.test("a program that outlives its stop signals is named", async (t) => {
  const command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"];
  const server = await ServerProcess.spawn({ command, cwd: root, logFile: join(root, "deaf.log") });
  await until(async () => (await server.logTail()) === "deaf");
  t.match(
    await refused(server.end([["SIGTERM", 20]]), "SERVER_STOP_TIMEOUT"),
    `process ${server.pid} is still alive after SIGTERM`,
  );
  await server.end([["SIGKILL", 5_000]]);
  t.same(server.exit, { code: null, signal: "SIGKILL" });
});

if (here.skip === false) realServers();
else void t.test("real Redis servers", { skip: here.skip }, () => {});

function realServers(): void {
  void t.test("starts in a temporary folder, answers, and leaves nothing", async (t) => {
    const before = await temporaryFolders();
    const server = await startRedis();
    t.equal(server.url, `redis://127.0.0.1:${server.port}`);
    t.ok(server.port < 55_536);
    t.equal(await redisCommand(server, "PING"), "PONG");
    t.equal((await temporaryFolders()).length, before.length + 1);
    await Promise.all([server.stop(), server.stop()]);
    t.equal(await startedAt(server.pid), undefined);
    t.same(await temporaryFolders(), before);
    await refused(server.kill(), "SERVER_STOPPED");
  });

  void t.test("takes settings, and a password of any characters", async (t) => {
    const password = 'p@ss "w\\rd#/';
    await using server = await startRedis({ password, settings: { maxmemory: "64mb" } });
    t.equal((await redisInfo(server, "memory")).get("maxmemory"), String(64 * 1024 * 1024));
    t.equal(decodeURIComponent(new URL(server.url).password), password);
    await t.rejects(redisCommand({ port: server.port }, "PING"), { message: /NOAUTH/ });
  });

  void t.test("a killed server comes back on the same port, a frozen one goes on where it was", async (t) => {
    await using server = await startRedis({ settings: { appendonly: "yes", appendfsync: "always" } });
    const { url } = server;
    await redisCommand(server, "SET", "kept", "1");
    await server.kill();
    t.notOk(server.running);
    await t.rejects(redisCommand(server, "PING"), { code: "ECONNREFUSED" });
    await server.restart();
    t.equal(server.url, url);
    t.equal(await redisCommand(server, "GET", "kept"), "1");
    await server.pause();
    await t.rejects(redisCommand(server, "PING"), { message: /no reply/ });
    await server.resume();
    t.equal(await redisCommand(server, "PING"), "PONG");
    await server.pause();
  });

  void t.test("uses valkey-server where there is no redis-server, or the program it is given", async (t) => {
    const valkey = join(root, "valkey-server");
    await symlink(findRedis() ?? "", valkey);
    await withEnvironment({ PATH: root }, async () => {
      t.equal(findRedis(), valkey);
      await using server = await startRedis();
      t.equal(await redisCommand(server, "PING"), "PONG");
    });
    await rm(valkey);
    t.match(await refused(startRedis({ binary: valkey }), "SERVER_BINARY_MISSING"), valkey);
  });

  void t.test("says why a server did not start", async (t) => {
    const before = await temporaryFolders();
    t.match(
      await refused(startRedis({ settings: { "no-such-setting": 1 } }), "SERVER_START_FAILED"),
      /no-such-setting/,
    );
    const silent = join(root, "silent");
    await writeFile(silent, "#!/bin/sh\nexec sleep 60\n");
    await chmod(silent, 0o755);
    await refused(startRedis({ binary: silent, startTimeoutMs: 50 }), "SERVER_START_TIMEOUT");
    await t.rejects(startRedis({ signal: AbortSignal.abort(new Error("too late")) }), { message: "too late" });
    t.same(await temporaryFolders(), before);
  });

  void t.test("takes another port when somebody is faster, and refuses a given one that is taken", async (t) => {
    await using taken = await startRedis();
    t.match(await refused(startRedis({ port: taken.port }), "SERVER_PORT_BUSY"), String(taken.port));
    const thieves: ReturnType<typeof createServer>[] = [];
    const { process: server, port } = await launch({
      name: "Redis",
      startTimeoutMs: 10_000,
      endSteps: [["SIGKILL", 10_000]],
      async command(port) {
        if (thieves.length < 2) {
          const thief = createServer().listen(port, "127.0.0.1");
          thieves.push(thief);
          await once(thief, "listening");
        }
        const command = [findRedis() ?? "", "--port", String(port), "--bind", "127.0.0.1", "--save", ""];
        return { command, cwd: root, logFile: join(root, "server.log") };
      },
      ready: async (port, pid) => {
        if (thieves.some((thief) => JSON.stringify(thief.address()).includes(`:${port}}`))) return false;
        const info = await redisInfo({ port }, "server").catch(() => undefined);
        return info?.get("process_id") === String(pid);
      },
    });
    t.equal(thieves.length, 2);
    t.equal(await redisCommand({ port }, "PING"), "PONG");
    await server.end([["SIGKILL", 10_000]]);
    for (const thief of thieves) thief.close();
  });

  void t.test(
    "goes with its owner, also when both were stopped in their tracks",
    { skip: onlyOnLinux() },
    async (t) => {
      const owner = new Owner(["redis"]);
      const { pid } = await owner.server();
      process.kill(pid, "SIGSTOP");
      await owner.kill();
      await gone(pid);
      await using next = await startRedis();
      t.equal((await temporaryFolders()).length, 1, "what the killed one left is swept");
      t.ok(next.running);
    },
  );

  void t.test(
    "a cluster serves every slot, and a replica takes over from a killed master",
    { timeout: 60_000 },
    async (t) => {
      await using cluster = await startRedisCluster();
      t.equal(cluster.seeds.length, 6);
      t.ok(cluster.nodes.every((node) => node.port <= 45_535));
      const masters = await cluster.masters();
      t.equal(masters.length, 3);
      t.equal((await cluster.replicas()).length, 3);
      const slots = await Promise.all(masters.map(ownSlots));
      t.equal(
        slots.reduce((sum, own) => sum + own, 0),
        16_384,
      );
      await cluster.nodes[0]?.kill();
      await until(async () => (await cluster.masters()).length === 3);
      await cluster.nodes[0]?.restart();
      await until(async () => (await cluster.replicas()).length === 3);
    },
  );

  void t.test("sentinels know the master, and agree on another when it is killed", { timeout: 60_000 }, async (t) => {
    await using group = await startRedisSentinel({ name: "videos", password: "secret" });
    t.same([group.nodes.length, group.sentinels.length, group.seeds.length], [2, 3, 3]);
    const [master, replica] = group.nodes;
    t.same(await masterPort(group.sentinels, "videos"), master?.port);
    await master?.kill();
    await until(async () => (await masterPort(group.sentinels, "videos")) === replica?.port);
    await until(async () => (await group.masters())[0] === replica);
  });
}

function onlyOnLinux(): string | false {
  return process.platform === "linux" ? false : "the kernel ends a server with its owner only on Linux";
}

async function ownSlots(node: RedisServer): Promise<number> {
  const line =
    String(await redisCommand(node, "CLUSTER", "NODES"))
      .split("\n")
      .find((text) => text.includes("myself")) ?? "";
  const [from, to] = (line.split(" ").at(-1) ?? "").split("-").map(Number);
  return (to ?? 0) - (from ?? 0) + 1;
}

async function masterPort(sentinels: readonly RedisServer[], name: string): Promise<number | undefined> {
  const answers = await Promise.all(
    sentinels.map((one) => redisCommand(one, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)),
  );
  const ports = new Set(answers.map((answer) => (Array.isArray(answer) ? Number(answer[1]) : 0)));
  return ports.size === 1 ? [...ports][0] : undefined;
}

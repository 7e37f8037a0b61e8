var __addDisposableResource = (this && this.__addDisposableResource) || function (env, value, async) {
    if (value !== null && value !== void 0) {
        if (typeof value !== "object" && typeof value !== "function") throw new TypeError("Object expected.");
        var dispose, inner;
        if (async) {
            if (!Symbol.asyncDispose) throw new TypeError("Symbol.asyncDispose is not defined.");
            dispose = value[Symbol.asyncDispose];
        }
        if (dispose === void 0) {
            if (!Symbol.dispose) throw new TypeError("Symbol.dispose is not defined.");
            dispose = value[Symbol.dispose];
            if (async) inner = dispose;
        }
        if (typeof dispose !== "function") throw new TypeError("Object not disposable.");
        if (inner) dispose = function() { try { inner.call(this); } catch (e) { return Promise.reject(e); } };
        env.stack.push({ value: value, dispose: dispose, async: async });
    }
    else if (async) {
        env.stack.push({ async: true });
    }
    return value;
};
var __disposeResources = (this && this.__disposeResources) || (function (SuppressedError) {
    return function (env) {
        function fail(e) {
            env.error = env.hasError ? new SuppressedError(e, env.error, "An error was suppressed during disposal.") : e;
            env.hasError = true;
        }
        var r, s = 0;
        function next() {
            while (r = env.stack.pop()) {
                try {
                    if (!r.async && s === 1) return s = 0, env.stack.push(r), Promise.resolve().then(next);
                    if (r.dispose) {
                        var result = r.dispose.call(r.value);
                        if (r.async) return s |= 2, Promise.resolve(result).then(next, function(e) { fail(e); return next(); });
                    }
                    else s |= 1;
                }
                catch (e) {
                    fail(e);
                }
            }
            if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
            if (env.hasError) throw env.error;
        }
        return next();
    };
})(typeof SuppressedError === "function" ? SuppressedError : function (error, suppressed, message) {
    var e = new Error(message);
    return e.name = "SuppressedError", e.error = error, e.suppressed = suppressed, e;
});
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { isStewardError } from "@steward/core";
import { trackHandles } from "../../src/index.js";
import { findRedis, redisForTests, startRedis, startRedisCluster, startRedisSentinel, } from "../../src/servers/index.js";
import { launch } from "../../src/servers/launch.js";
import { claimFolder } from "../../src/servers/ownership.js";
import { startedAt } from "../../src/servers/process-table.js";
import { redisCommand, redisInfo } from "../../src/servers/resp.js";
import { ServerProcess } from "../../src/servers/server-process.js";
import { gone, Owner } from "./child.js";
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
async function refused(promise, code) {
    const outcome = await promise.then(() => "it succeeded", (error) => error);
    if (!isStewardError(outcome, code))
        throw new Error(`expected ${code}`, { cause: outcome });
    return outcome.message;
}
async function temporaryFolders() {
    return (await readdir(root)).filter((name) => name.startsWith("steward-redis-"));
}
/** Runs `fn` with other environment variables; `undefined` takes one away. */
async function withEnvironment(variables, fn) {
    const before = Object.keys(variables).map((name) => [name, process.env[name]]);
    const set = (name, value) => {
        if (value === undefined)
            delete process.env[name];
        else
            process.env[name] = value;
    };
    for (const [name, value] of Object.entries(variables))
        set(name, value);
    try {
        await fn();
    }
    finally {
        for (const [name, value] of before)
            set(name, value);
    }
}
async function eventually(condition) {
    while (!(await condition()))
        await sleep(20);
}
await t.test("without a Redis program a suite is told to skip in one line, and fails where CI=true", async (t) => {
    await withEnvironment({ PATH: root, CI: undefined }, async () => {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            t.equal(findRedis(), undefined);
            const none = __addDisposableResource(env_1, await redisForTests(), true);
            t.match(none.skip, /^skipped: no Redis here .* REDIS_URL is not set\)$/);
            t.match(await refused(startRedis(), "SERVER_BINARY_MISSING"), /neither redis-server nor valkey-server.*REDIS_URL/);
        }
        catch (e_1) {
            env_1.error = e_1;
            env_1.hasError = true;
        }
        finally {
            const result_1 = __disposeResources(env_1);
            if (result_1)
                await result_1;
        }
    });
    await withEnvironment({ PATH: root, CI: "true" }, async () => {
        t.match(await refused(redisForTests(), "SERVER_REQUIRED"), /CI=true/);
    });
    await withEnvironment({ PATH: root, REDIS_URL: "redis://elsewhere" }, async () => {
        const env_2 = { stack: [], error: void 0, hasError: false };
        try {
            const there = __addDisposableResource(env_2, await redisForTests(), true);
            t.match(there, { skip: false, url: "redis://elsewhere", server: undefined });
        }
        catch (e_2) {
            env_2.error = e_2;
            env_2.hasError = true;
        }
        finally {
            const result_2 = __disposeResources(env_2);
            if (result_2)
                await result_2;
        }
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
await t.test("a program that outlives its stop signals is named", async (t) => {
    const command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"];
    const server = await ServerProcess.spawn({ command, cwd: root, logFile: join(root, "deaf.log") });
    await eventually(async () => (await server.logTail()) === "deaf");
    t.match(await refused(server.end([["SIGTERM", 20]]), "SERVER_STOP_TIMEOUT"), `process ${server.pid} is still alive after SIGTERM`);
    await server.end([["SIGKILL", 5_000]]);
    t.same(server.exit, { code: null, signal: "SIGKILL" });
});
if (here.skip === false)
    realServers();
else
    void t.test("real Redis servers", { skip: here.skip }, () => { });
function realServers() {
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
        const env_3 = { stack: [], error: void 0, hasError: false };
        try {
            const password = 'p@ss "w\\rd#/';
            const server = __addDisposableResource(env_3, await startRedis({ password, settings: { maxmemory: "64mb" } }), true);
            t.equal((await redisInfo(server, "memory")).get("maxmemory"), String(64 * 1024 * 1024));
            t.equal(decodeURIComponent(new URL(server.url).password), password);
            await t.rejects(redisCommand({ port: server.port }, "PING"), { message: /NOAUTH/ });
        }
        catch (e_3) {
            env_3.error = e_3;
            env_3.hasError = true;
        }
        finally {
            const result_3 = __disposeResources(env_3);
            if (result_3)
                await result_3;
        }
    });
    void t.test("a killed server comes back on the same port, a frozen one goes on where it was", async (t) => {
        const env_4 = { stack: [], error: void 0, hasError: false };
        try {
            const server = __addDisposableResource(env_4, await startRedis({ settings: { appendonly: "yes", appendfsync: "always" } }), true);
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
        }
        catch (e_4) {
            env_4.error = e_4;
            env_4.hasError = true;
        }
        finally {
            const result_4 = __disposeResources(env_4);
            if (result_4)
                await result_4;
        }
    });
    void t.test("uses valkey-server where there is no redis-server, or the program it is given", async (t) => {
        const valkey = join(root, "valkey-server");
        await symlink(findRedis() ?? "", valkey);
        await withEnvironment({ PATH: root }, async () => {
            const env_5 = { stack: [], error: void 0, hasError: false };
            try {
                t.equal(findRedis(), valkey);
                const server = __addDisposableResource(env_5, await startRedis(), true);
                t.equal(await redisCommand(server, "PING"), "PONG");
            }
            catch (e_5) {
                env_5.error = e_5;
                env_5.hasError = true;
            }
            finally {
                const result_5 = __disposeResources(env_5);
                if (result_5)
                    await result_5;
            }
        });
        await rm(valkey);
        t.match(await refused(startRedis({ binary: valkey }), "SERVER_BINARY_MISSING"), valkey);
    });
    void t.test("says why a server did not start", async (t) => {
        const before = await temporaryFolders();
        t.match(await refused(startRedis({ settings: { "no-such-setting": 1 } }), "SERVER_START_FAILED"), /no-such-setting/);
        const silent = join(root, "silent");
        await writeFile(silent, "#!/bin/sh\nexec sleep 60\n");
        await chmod(silent, 0o755);
        await refused(startRedis({ binary: silent, startTimeoutMs: 50 }), "SERVER_START_TIMEOUT");
        await t.rejects(startRedis({ signal: AbortSignal.abort(new Error("too late")) }), { message: "too late" });
        t.same(await temporaryFolders(), before);
    });
    void t.test("takes another port when somebody is faster, and refuses a given one that is taken", async (t) => {
        const env_6 = { stack: [], error: void 0, hasError: false };
        try {
            const taken = __addDisposableResource(env_6, await startRedis(), true);
            t.match(await refused(startRedis({ port: taken.port }), "SERVER_PORT_BUSY"), String(taken.port));
            const thieves = [];
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
                    if (thieves.some((thief) => JSON.stringify(thief.address()).includes(`:${port}}`)))
                        return false;
                    const info = await redisInfo({ port }, "server").catch(() => undefined);
                    return info?.get("process_id") === String(pid);
                },
            });
            t.equal(thieves.length, 2);
            t.equal(await redisCommand({ port }, "PING"), "PONG");
            await server.end([["SIGKILL", 10_000]]);
            for (const thief of thieves)
                thief.close();
        }
        catch (e_6) {
            env_6.error = e_6;
            env_6.hasError = true;
        }
        finally {
            const result_6 = __disposeResources(env_6);
            if (result_6)
                await result_6;
        }
    });
    void t.test("goes with its owner, also when both were stopped in their tracks", { skip: onlyOnLinux() }, async (t) => {
        const env_7 = { stack: [], error: void 0, hasError: false };
        try {
            const owner = new Owner(["redis"]);
            const { pid } = await owner.server();
            process.kill(pid, "SIGSTOP");
            await owner.kill();
            await gone(pid);
            const next = __addDisposableResource(env_7, await startRedis(), true);
            t.equal((await temporaryFolders()).length, 1, "what the killed one left is swept");
            t.ok(next.running);
        }
        catch (e_7) {
            env_7.error = e_7;
            env_7.hasError = true;
        }
        finally {
            const result_7 = __disposeResources(env_7);
            if (result_7)
                await result_7;
        }
    });
    void t.test("a cluster serves every slot, and a replica takes over from a killed master", { timeout: 60_000 }, async (t) => {
        const env_8 = { stack: [], error: void 0, hasError: false };
        try {
            const cluster = __addDisposableResource(env_8, await startRedisCluster(), true);
            t.equal(cluster.seeds.length, 6);
            t.ok(cluster.nodes.every((node) => node.port <= 45_535));
            const masters = await cluster.masters();
            t.equal(masters.length, 3);
            t.equal((await cluster.replicas()).length, 3);
            const slots = await Promise.all(masters.map(ownSlots));
            t.equal(slots.reduce((sum, own) => sum + own, 0), 16_384);
            await cluster.nodes[0]?.kill();
            await eventually(async () => (await cluster.masters()).length === 3);
            await cluster.nodes[0]?.restart();
            await eventually(async () => (await cluster.replicas()).length === 3);
        }
        catch (e_8) {
            env_8.error = e_8;
            env_8.hasError = true;
        }
        finally {
            const result_8 = __disposeResources(env_8);
            if (result_8)
                await result_8;
        }
    });
    void t.test("sentinels know the master, and agree on another when it is killed", { timeout: 60_000 }, async (t) => {
        const env_9 = { stack: [], error: void 0, hasError: false };
        try {
            const group = __addDisposableResource(env_9, await startRedisSentinel({ name: "videos", password: "secret" }), true);
            t.same([group.nodes.length, group.sentinels.length, group.seeds.length], [2, 3, 3]);
            const [master, replica] = group.nodes;
            t.same(await masterPort(group.sentinels, "videos"), master?.port);
            await master?.kill();
            await eventually(async () => (await masterPort(group.sentinels, "videos")) === replica?.port);
            await eventually(async () => (await group.masters())[0] === replica);
        }
        catch (e_9) {
            env_9.error = e_9;
            env_9.hasError = true;
        }
        finally {
            const result_9 = __disposeResources(env_9);
            if (result_9)
                await result_9;
        }
    });
}
function onlyOnLinux() {
    return process.platform === "linux" ? false : "the kernel ends a server with its owner only on Linux";
}
async function ownSlots(node) {
    const line = String(await redisCommand(node, "CLUSTER", "NODES"))
        .split("\n")
        .find((text) => text.includes("myself")) ?? "";
    const [from, to] = (line.split(" ").at(-1) ?? "").split("-").map(Number);
    return (to ?? 0) - (from ?? 0) + 1;
}
async function masterPort(sentinels, name) {
    const answers = await Promise.all(sentinels.map((one) => redisCommand(one, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)));
    const ports = new Set(answers.map((answer) => (Array.isArray(answer) ? Number(answer[1]) : 0)));
    return ports.size === 1 ? [...ports][0] : undefined;
}
//# sourceMappingURL=redis.test.js.map
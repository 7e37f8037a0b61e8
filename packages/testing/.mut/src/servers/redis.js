import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StewardError } from "@steward/core";
import { openFolder, removeFolder } from "./folder.js";
import { launch } from "./launch.js";
import { claimFolder } from "./ownership.js";
import { MAX_PORT } from "./ports.js";
import { diesWithParent } from "./parent-death.js";
import { findProgram, isExecutable } from "./programs.js";
import { redisInfo } from "./resp.js";
import { OwnedServer } from "./server.js";
const START_TIMEOUT_MS = 10_000;
/** The Redis program on PATH (`redis-server`, else `valkey-server`), or `undefined`. */
export function findRedis() {
    return findProgram("redis-server") ?? findProgram("valkey-server");
}
/** @throws {SERVER_BINARY_MISSING} there is no such program. */
function requireRedis(binary) {
    const found = binary === undefined ? findRedis() : isExecutable(binary) ? binary : findProgram(binary);
    if (found !== undefined)
        return found;
    const where = binary === undefined ? "neither redis-server nor valkey-server is on PATH" : `${binary} cannot be run`;
    throw new StewardError("SERVER_BINARY_MISSING", `no Redis to start: ${where}. Install one, or set REDIS_URL to a running server`);
}
/**
 * Starts a real Redis (or Valkey) on 127.0.0.1 in a temporary folder and waits until it answers.
 *
 * It ends when this process ends (also after `kill -9`, on Linux) and not by the Ctrl-C of a terminal.
 *
 * @throws {SERVER_BINARY_MISSING} there is no Redis program.
 * @throws {SERVER_START_FAILED} it ended; the message holds its words.
 * @throws {SERVER_START_TIMEOUT} it did not answer in time.
 * @throws {SERVER_PORT_BUSY} `port` belongs to another program.
 *
 * @example
 * ```ts
 * import { startRedis } from "@steward/testing/servers";
 * await using server = await startRedis();
 * console.log(server.url); // redis://127.0.0.1:41234
 * ```
 */
export function startRedis(options = {}) {
    return startRedisNode(options);
}
/** {@link startRedis} for any role. @internal */
export async function startRedisNode(options) {
    options.signal?.throwIfAborted();
    const binary = requireRedis(options.binary);
    const folder = await openFolder("redis");
    const release = () => removeFolder(folder.path);
    try {
        await claimFolder(folder.path);
        const configFile = join(folder.path, "redis.conf");
        await writeFile(configFile, configuration(folder.path, options), { mode: 0o600 });
        const plan = launchPlan(binary, folder.path, configFile, options);
        return new OwnedRedis(plan, await launch(plan, options.signal), release, options.password);
    }
    catch (error) {
        await release();
        throw error;
    }
}
function configuration(folder, options) {
    const lines = {
        bind: "127.0.0.1",
        dir: quoted(folder),
        ...(options.sentinel === true ? {} : { save: '""', appendonly: "no" }),
        ...(options.password === undefined
            ? {}
            : { requirepass: quoted(options.password), masterauth: quoted(options.password) }),
        ...options.settings,
    };
    return Object.entries(lines)
        .flatMap(([name, value]) => [value].flat().map((one) => `${name} ${one}\n`))
        .join("");
}
function quoted(text) {
    return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
function launchPlan(binary, folder, configFile, options) {
    const { sentinel = false, password } = options;
    return {
        name: sentinel ? "Redis Sentinel" : "Redis",
        port: options.port,
        maxPort: options.maxPort ?? MAX_PORT,
        startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
        endSteps: [
            ["SIGTERM", 5_000],
            ["SIGKILL", 10_000],
        ],
        async command(port) {
            const words = [binary, configFile, "--port", String(port), ...(sentinel ? ["--sentinel"] : [])];
            // Unlike TERM, KILL also reaches a frozen server; there is nothing to save for it.
            return { command: await diesWithParent(words, "KILL"), cwd: folder, logFile: join(folder, "server.log") };
        },
        ready: (port, pid) => answers(port, pid, password),
    };
}
// Another server may answer on a port that ours could not get; the process id tells.
async function answers(port, pid, password) {
    const info = await redisInfo({ port, password }, "server").catch(() => undefined);
    return info?.get("process_id") === String(pid);
}
class OwnedRedis extends OwnedServer {
    password;
    constructor(plan, launched, release, password) {
        super(plan, launched, release);
        this.password = password;
    }
    get url() {
        const credentials = this.password === undefined ? "" : `:${encodeURIComponent(this.password)}@`;
        return `redis://${credentials}127.0.0.1:${this.port}`;
    }
}
//# sourceMappingURL=redis.js.map
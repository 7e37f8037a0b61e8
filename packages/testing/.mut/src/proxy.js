import { createServer } from "node:net";
import { Link } from "./link.js";
const STANDARD_PORTS = {
    "redis:": 6379,
    "postgres:": 5432,
    "postgresql:": 5432,
    "http:": 80,
    "https:": 443,
};
/**
 * Starts a fault proxy in front of a real server.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { startFaultProxy } from "@steward/testing";
 * const server = createServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
 * await new Promise((resolve) => server.once("listening", resolve));
 * const address = server.address();
 * const port = typeof address === "object" && address !== null ? address.port : 0;
 * const proxy = await startFaultProxy({ target: `http://127.0.0.1:${port}` });
 * console.log(await (await fetch(proxy.url)).text()); // => hello
 * await proxy.stop();
 * server.close();
 * ```
 */
export async function startFaultProxy(options) {
    const proxy = new TcpFaultProxy(options);
    await proxy.listen();
    return proxy;
}
function addressOf(target) {
    if (typeof target !== "string")
        return target;
    const url = new URL(target);
    return { host: url.hostname, port: Number(url.port) || (STANDARD_PORTS[url.protocol] ?? 0) };
}
const NO_LIMIT = Number.POSITIVE_INFINITY;
const NONE = {
    latencyMs: 0,
    jitterMs: 0,
    bytesPerSecond: NO_LIMIT,
    blackhole: false,
    dropReplies: false,
    pauseReplies: false,
};
class TcpFaultProxy {
    host = "127.0.0.1";
    #options;
    #links = new Set();
    #counts = { total: 0, requestBytes: 0, replyBytes: 0, lostBytes: 0 };
    #faults = { ...NONE };
    #target;
    #limitBytes = NO_LIMIT;
    #listener;
    #port = 0;
    #stopped = false;
    constructor(options) {
        this.#options = options;
        this.#target = addressOf(options.target);
    }
    get port() {
        return this.#port;
    }
    get url() {
        const { target } = this.#options;
        if (typeof target !== "string")
            return `tcp://${this.host}:${this.port}`;
        const { host } = new URL(target);
        // Only the authority changes; `URL` would also rewrite the rest.
        return target.replace(new RegExp(`(//(?:[^/]*@)?)${host.replaceAll(/[.[\]]/g, "\\$&")}`), `$1${this.host}:${this.port}`);
    }
    listen() {
        const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
        return new Promise((resolve, reject) => {
            server.once("error", reject);
            server.listen({ host: this.host, port: this.#port }, () => {
                this.#listener = server;
                const address = server.address();
                if (typeof address === "object" && address !== null)
                    this.#port = address.port;
                resolve();
            });
        });
    }
    #accept(client) {
        this.#counts.total += 1;
        const link = new Link(client, this.#owner(() => this.#links.delete(link)), this.#faults.blackhole);
        link.limit(this.#limitBytes);
        this.#links.add(link);
    }
    #owner(closed) {
        const counts = this.#counts;
        return {
            target: this.#target,
            faults: (direction) => this.#flowFaults(direction),
            arrived: (direction, bytes) => void (counts[`${direction}Bytes`] += bytes),
            lost: (bytes) => void (counts.lostBytes += bytes),
            closed,
        };
    }
    #flowFaults(direction) {
        const faults = this.#faults;
        const { random = Math.random } = this.#options;
        const reply = direction === "reply";
        return {
            delayMs: () => Math.max(0, faults.latencyMs + faults.jitterMs * (2 * random() - 1)),
            get bytesPerSecond() {
                return faults.bytesPerSecond;
            },
            get held() {
                return reply && faults.pauseReplies;
            },
            get lossy() {
                return faults.blackhole || (reply && faults.dropReplies);
            },
        };
    }
    latency(ms, jitterMs = 0) {
        Object.assign(this.#faults, { latencyMs: ms, jitterMs });
    }
    throttle(bytesPerSecond) {
        this.#faults.bytesPerSecond = bytesPerSecond;
    }
    limit(bytes) {
        this.#limitBytes = bytes;
        for (const link of this.#links)
            link.limit(bytes);
    }
    reset() {
        for (const link of this.#links)
            link.reset();
    }
    blackhole() {
        this.#faults.blackhole = true;
    }
    halfOpen() {
        for (const link of this.#links)
            link.silence();
    }
    dropReplies() {
        this.#faults.dropReplies = true;
    }
    pauseReplies() {
        this.#faults.pauseReplies = true;
    }
    async refuse() {
        // The callback of `close` waits for all connections; the port is free at once.
        this.#listener?.close();
        this.#listener = undefined;
        await new Promise((resolve) => setImmediate(resolve));
    }
    async heal() {
        Object.assign(this.#faults, NONE);
        this.limit(NO_LIMIT);
        for (const link of this.#links)
            link.recover();
        if (this.#listener === undefined && !this.#stopped)
            await this.listen();
    }
    stats() {
        const open = [...this.#links].filter((link) => link.clientOpen).length;
        return { open, ...this.#counts };
    }
    async stop() {
        this.#stopped = true;
        await this.refuse();
        const ended = [...this.#links].map((link) => link.ended);
        this.reset();
        await Promise.all(ended);
    }
    [Symbol.asyncDispose]() {
        return this.stop();
    }
}
//# sourceMappingURL=proxy.js.map
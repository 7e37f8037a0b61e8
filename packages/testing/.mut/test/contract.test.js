import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import t from "tap";
import { Guard, isStewardError, Manager } from "@steward/core";
import { assertNoLeaks, resourceContract, startFaultProxy, trackHandles } from "../src/index.js";
/** A server that answers every chunk with itself. */
async function startEcho() {
    const server = createServer((socket) => void socket.on("error", () => { }).pipe(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    return server;
}
/** A small but complete driver: a connection for each call, one guard. */
class EchoManager extends Manager {
    #client = { say: (text) => this.guard.run(({ signal }) => this.exchange(text, signal)) };
    guard;
    sockets = new Set();
    #port;
    constructor(port, context) {
        super("echo", context);
        this.#port = port;
        this.guard = new Guard({ resource: this.name, clock: this.clock, refusal: () => this.unavailable() });
    }
    get client() {
        return this.#client;
    }
    async exchange(text, signal) {
        const socket = connect({ port: this.#port, host: "127.0.0.1" });
        this.sockets.add(socket);
        const onAbort = () => void socket.destroy(new Error("given up"));
        signal.addEventListener("abort", onAbort, { once: true });
        try {
            const answer = once(socket, "data");
            socket.write(text);
            return String((await answer)[0]);
        }
        finally {
            signal.removeEventListener("abort", onAbort);
            this.sockets.delete(socket);
            socket.destroy();
        }
    }
    async open(signal) {
        await this.exchange("hello", signal);
    }
    async ping(signal) {
        await this.exchange("ping", signal);
    }
    settle() {
        return this.guard.idle();
    }
    close() {
        for (const socket of this.sockets)
            socket.destroy(new Error("closed"));
    }
    measure() {
        return { calls: this.guard.stats() };
    }
}
/** Runs the whole suite one case after the other, and gives the names of those that failed. */
async function failures(make) {
    const cases = [];
    const server = await startEcho();
    const proxy = await proxyTo(server);
    resourceContract({ test: (name, fn) => cases.push({ name, fn }), assert }, { create: (context) => make(proxy.port, context), use: (manager) => manager.client.say("hi"), proxy });
    const failed = [];
    for (const { name, fn } of cases)
        await fn().catch(() => failed.push(name));
    await proxy.stop();
    server.close();
    return failed;
}
async function proxyTo(server) {
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    return startFaultProxy({ target: { host: "127.0.0.1", port: address.port } });
}
const server = await startEcho();
const proxy = await proxyTo(server);
t.teardown(async () => {
    await proxy.stop();
    server.close();
});
resourceContract({ test: (name, fn) => t.test(`a sound manager ${name}`, fn), assert }, { create: (context) => new EchoManager(proxy.port, context), use: (manager) => manager.client.say("hi"), proxy });
let forgotten;
const broken = {
    "a connection left open by stop": {
        fails: "is idle until it is started, and its client exists already",
        make: (port, context) => new (class extends EchoManager {
            async open() {
                // Only the first one of all: each leak costs the suite its whole patience.
                if (forgotten !== undefined)
                    return;
                forgotten = connect({ port, host: "127.0.0.1" }).on("error", () => { });
                await once(forgotten, "connect");
            }
        })(port, context),
    },
    "a probe that asks nobody": {
        fails: "says so when the remote is silent, and when it is back",
        make: (port, context) => new (class extends EchoManager {
            async ping() { }
        })(port, context),
    },
    "a client that calls past the guard": {
        fails: "refuses calls while it is not ready",
        make: (port, context) => new (class extends EchoManager {
            get client() {
                return { say: (text) => this.exchange(text, new AbortController().signal) };
            }
        })(port, context),
    },
    "a client made anew at each start": {
        fails: "starts again after a stop, with the same client",
        make: (port, context) => new (class extends EchoManager {
            #generation;
            get client() {
                return (this.#generation ??= { ...super.client });
            }
            close() {
                super.close();
                this.#generation = undefined;
            }
        })(port, context),
    },
    "a drain that ends the calls in flight": {
        fails: "finishes the calls in flight when it drains, and refuses new ones",
        make: (port, context) => new (class extends EchoManager {
            async settle() {
                this.close();
            }
        })(port, context),
    },
    "counts that do not add up": {
        fails: "counts every call once: started is succeeded, failed and in use together",
        make: (port, context) => new (class extends EchoManager {
            measure() {
                return { calls: { ...this.guard.stats(), succeeded: 0 } };
            }
        })(port, context),
    },
    "stats that show the live object": {
        fails: "gives stats in every phase, as a frozen plain snapshot",
        make: (port, context) => new (class extends EchoManager {
            stats() {
                return { phase: this.phase, calls: this.guard.stats() };
            }
        })(port, context),
    },
    "a second stop that fails": {
        fails: "stops once, however many ask",
        make: (port, context) => new (class extends EchoManager {
            async stop() {
                if (this.phase === "stopped")
                    throw new Error("not running");
                await super.stop();
            }
        })(port, context),
    },
};
for (const [fault, { make, fails }] of Object.entries(broken)) {
    void t.test(`the suite finds ${fault}`, async (t) => {
        const failed = await failures(make);
        t.ok(failed.includes(fails), `failed: ${failed.join("; ")}`);
    });
}
void t.test("a manager without remote and calls is spared the cases that need them", async (t) => {
    const all = [];
    const few = [];
    const create = (context) => new EchoManager(1, context);
    resourceContract({ test: (name) => all.push(name), assert }, { create, use: async () => { }, proxy });
    resourceContract({ test: (name) => few.push(name), assert }, { create });
    t.ok(few.length >= 18, String(few.length));
    t.equal(all.length, few.length + 6);
});
void t.test("a leak is named by kind and number, and is none once it is closed", async (t) => {
    const handles = trackHandles();
    const timer = setInterval(() => { }, 1_000);
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    t.same(handles.leaked(), { Timeout: 1, TCPServerWrap: 1 });
    const error = await handles.assertNoLeaks(20).catch((reason) => reason);
    t.ok(isStewardError(error, "HANDLES_LEAKED"));
    t.match(String(error), /1 Timeout|1 TCPServerWrap/);
    clearInterval(timer);
    listener.close();
    await handles.assertNoLeaks();
});
void t.test("work that leaves nothing open gives its value", async (t) => {
    t.equal(await assertNoLeaks(() => 42), 42);
    const leaving = assertNoLeaks(() => void setTimeout(() => { }, 500), 20);
    await t.rejects(leaving, { code: "HANDLES_LEAKED" });
});
//# sourceMappingURL=contract.test.js.map
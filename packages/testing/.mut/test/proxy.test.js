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
import { connect, createServer } from "node:net";
import t, {} from "tap";
import { startFaultProxy, trackHandles } from "../src/index.js";
/** A server that answers each line with `echo <line>`, closes at `bye`, and remembers what it got. */
class EchoServer {
    server;
    received = [];
    sockets = new Set();
    errors = [];
    constructor(server) {
        this.server = server;
        server.on("connection", (socket) => this.#serve(socket));
    }
    static async start() {
        const server = createServer().listen(0, "127.0.0.1");
        await once(server, "listening");
        return new EchoServer(server);
    }
    get target() {
        const address = this.server.address();
        return { host: "127.0.0.1", port: typeof address === "object" && address !== null ? address.port : 0 };
    }
    #serve(socket) {
        this.sockets.add(socket);
        socket.on("close", () => this.sockets.delete(socket));
        socket.on("error", (error) => this.errors.push(error.code ?? error.message));
        let rest = "";
        socket.setEncoding("utf8").on("data", (text) => {
            const lines = (rest + text).split("\n");
            rest = lines.pop() ?? "";
            for (const line of lines) {
                this.received.push(line);
                if (line === "bye")
                    socket.end();
                else
                    socket.write(`echo ${line}\n`);
            }
        });
    }
    async [Symbol.asyncDispose]() {
        for (const socket of this.sockets)
            socket.destroy();
        await new Promise((resolve) => this.server.close(resolve));
    }
}
/** A client that collects what it gets and how it ends. */
class Client {
    socket;
    text = "";
    ended;
    constructor(port) {
        this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
        this.socket.setEncoding("utf8").on("data", (chunk) => (this.text += chunk));
        this.socket.on("error", (error) => (this.ended ??= error.code));
        this.socket.on("end", () => (this.ended ??= "end"));
    }
    static async connect(port) {
        const client = new Client(port);
        await once(client.socket, "connect");
        return client;
    }
    send(line) {
        this.socket.write(`${line}\n`);
    }
    /** Waits for the whole text so far. */
    async gets(text) {
        while (this.text !== text)
            await once(this.socket, "data");
    }
    async closes() {
        if (!this.socket.closed)
            await new Promise((resolve) => this.socket.once("close", resolve));
        return this.ended;
    }
}
/** Runs a case with a fresh server and proxy, and checks that both leave nothing. */
function scene(name, run) {
    void t.test(name, async (t) => {
        const handles = trackHandles();
        const echo = await EchoServer.start();
        const proxy = await startFaultProxy({ target: echo.target });
        try {
            await run(t, { echo, proxy });
        }
        finally {
            await proxy.stop();
            await echo[Symbol.asyncDispose]();
        }
        await handles.assertNoLeaks();
    });
}
async function until(condition) {
    while (!condition())
        await new Promise((resolve) => setImmediate(resolve));
}
/** A client that has had one answer, so the whole way stands. */
async function acquainted(proxy) {
    const client = await Client.connect(proxy.port);
    client.send("hi");
    await client.gets("echo hi\n");
    return client;
}
scene("passes bytes both ways and counts them", async (t, { echo, proxy }) => {
    const client = await acquainted(proxy);
    t.same(echo.received, ["hi"]);
    t.same(proxy.stats(), { open: 1, total: 1, requestBytes: 3, replyBytes: 8, lostBytes: 0 });
    client.send("bye");
    t.equal(await client.closes(), "end");
    await until(() => proxy.stats().open === 0 && echo.sockets.size === 0);
    t.equal(proxy.stats().total, 1);
});
scene("passes a half-close: the answer to it still arrives", async (t, { echo, proxy }) => {
    echo.server.removeAllListeners("connection");
    echo.server.on("connection", (socket) => {
        socket.resume().on("end", () => socket.end("that was all"));
    });
    const client = await Client.connect(proxy.port);
    client.socket.end("some bytes");
    await client.closes();
    t.equal(client.text, "that was all");
});
scene("passes more than it buffers, whole and in order", async (t, { echo, proxy }) => {
    const size = 4 * 1024 * 1024;
    echo.server.removeAllListeners("connection");
    echo.server.on("connection", (socket) => void socket.pipe(socket));
    const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * 31) % 251));
    const socket = connect(proxy.port, "127.0.0.1");
    const got = [];
    socket.on("data", (chunk) => got.push(chunk));
    socket.end(bytes);
    await once(socket, "close");
    t.ok(Buffer.concat(got).equals(bytes));
});
scene("latency delays each way and keeps the order", async (t, { proxy }) => {
    const client = await acquainted(proxy);
    proxy.latency(50, 20);
    const since = performance.now();
    for (const word of ["one", "two", "three"])
        client.send(word);
    await client.gets("echo hi\necho one\necho two\necho three\n");
    t.ok(performance.now() - since >= 2 * 30 - 2, "at least twice the delay less the jitter");
});
scene("what waits for its time goes at once when it heals", async (t, { echo, proxy }) => {
    const client = await acquainted(proxy);
    proxy.latency(3_600_000);
    client.send("late");
    await until(() => proxy.stats().requestBytes === 8);
    t.same(echo.received, ["hi"]);
    await proxy.heal();
    await client.gets("echo hi\necho late\n");
});
scene("throttle spreads bytes over time", async (t, { proxy }) => {
    const client = await acquainted(proxy);
    proxy.throttle(20_000);
    const since = performance.now();
    const line = "x".repeat(2_000);
    client.send(line);
    await client.gets(`echo hi\necho ${line}\n`);
    t.ok(performance.now() - since >= 75, "2 kB at 20 kB/s take 100 ms, less the first slice");
});
scene("limit cuts in the middle of a reply", async (t, { proxy }) => {
    const client = await acquainted(proxy);
    proxy.limit(7);
    client.send("abcdef");
    t.equal(await client.closes(), "end");
    t.equal(client.text, "echo hi\necho ab");
    await proxy.heal();
    await acquainted(proxy);
});
scene("reset ends both sides by RST, and new connections work", async (t, { echo, proxy }) => {
    const client = await acquainted(proxy);
    proxy.reset();
    t.equal(await client.closes(), "ECONNRESET");
    await until(() => echo.sockets.size === 0);
    t.same(echo.errors, ["ECONNRESET"]);
    t.equal(proxy.stats().open, 0);
    await acquainted(proxy);
});
scene("blackhole swallows both ways, and accepts new connections in silence", async (t, { echo, proxy }) => {
    const asking = await acquainted(proxy);
    const listening = await acquainted(proxy);
    proxy.blackhole();
    asking.send("lost");
    const stranger = await Client.connect(proxy.port);
    stranger.send("hello?");
    for (const socket of echo.sockets)
        socket.write("news\n");
    await until(() => proxy.stats().lostBytes === 5 + 7 + 2 * 5);
    t.same(echo.received, ["hi", "hi"]);
    t.equal(echo.sockets.size, 2, "the new connection never reached the server");
    t.same([asking.text, listening.text, stranger.text], ["echo hi\n", "echo hi\n", ""]);
    t.same([asking.ended, listening.ended, stranger.ended], [undefined, undefined, undefined]);
});
scene("after a blackhole only connections that lost something stay silent", async (t, { echo, proxy }) => {
    const unlucky = await acquainted(proxy);
    const lucky = await acquainted(proxy);
    proxy.blackhole();
    unlucky.send("lost");
    await until(() => proxy.stats().lostBytes === 5);
    await proxy.heal();
    unlucky.send("lost too");
    await until(() => proxy.stats().lostBytes === 14);
    lucky.send("again");
    await lucky.gets("echo hi\necho again\n");
    await acquainted(proxy);
    t.same(echo.received, ["hi", "hi", "again", "hi"]);
    t.equal(unlucky.ended, undefined);
});
scene("half-open connections stay silent for good, their end is lost as well, new ones work", async (t, { echo, proxy }) => {
    const old = await acquainted(proxy);
    proxy.halfOpen();
    old.send("lost");
    await until(() => proxy.stats().lostBytes === 5);
    await proxy.heal();
    old.socket.end();
    await acquainted(proxy);
    await until(() => proxy.stats().open === 1);
    t.equal(echo.sockets.size, 2, "the server still believes in the old one");
    t.same(echo.received, ["hi", "hi"]);
    t.equal(old.ended, undefined);
});
scene("dropped replies: the server works, the client waits", async (t, { echo, proxy }) => {
    const client = await acquainted(proxy);
    proxy.dropReplies();
    client.send("work");
    await until(() => proxy.stats().lostBytes === 10);
    t.same(echo.received, ["hi", "work"]);
    t.equal(client.text, "echo hi\n");
});
scene("paused replies arrive when it heals", async (t, { echo, proxy }) => {
    const client = await acquainted(proxy);
    proxy.pauseReplies();
    client.send("work");
    client.send("bye");
    await until(() => proxy.stats().replyBytes === 18);
    t.same([echo.received.at(-1), client.text], ["bye", "echo hi\n"]);
    await proxy.heal();
    t.equal(await client.closes(), "end");
    t.equal(client.text, "echo hi\necho work\n");
});
scene("refuses new connections while present ones go on, on the same port again after that", async (t, { proxy }) => {
    const client = await acquainted(proxy);
    const { port } = proxy;
    await proxy.refuse();
    await t.rejects(Client.connect(port), { code: "ECONNREFUSED" });
    client.send("still");
    await client.gets("echo hi\necho still\n");
    await proxy.heal();
    t.equal(proxy.port, port);
    await acquainted(proxy);
});
scene("a reset of the server reaches the client as a reset", async (t, { echo, proxy }) => {
    const client = await acquainted(proxy);
    for (const socket of echo.sockets)
        socket.resetAndDestroy();
    t.equal(await client.closes(), "ECONNRESET");
});
scene("a server that is not there resets the client", async (t, { echo, proxy }) => {
    await new Promise((resolve) => echo.server.close(resolve));
    const client = await Client.connect(proxy.port);
    t.equal(await client.closes(), "ECONNRESET");
    echo.server.listen(0);
});
scene("stop ends everything under every fault, and can be asked for twice", async (t, { proxy }) => {
    const silent = await acquainted(proxy);
    proxy.halfOpen();
    const late = await acquainted(proxy);
    proxy.latency(3_600_000);
    proxy.pauseReplies();
    late.send("never");
    await Promise.all([proxy.stop(), proxy.stop()]);
    t.same([await silent.closes(), await late.closes()], ["ECONNRESET", "ECONNRESET"]);
    t.equal(proxy.stats().open, 0);
    await t.rejects(Client.connect(proxy.port), { code: "ECONNREFUSED" });
});
void t.test("keeps all of the target's URL but host and port", async (t) => {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const handles = trackHandles();
        const cases = ["postgres://me:p%40ss@127.0.0.1:1/app?x=127.0.0.1:1", "redis://127.0.0.1", "http://localhost:8080/a/"];
        for (const target of cases) {
            const env_2 = { stack: [], error: void 0, hasError: false };
            try {
                const proxy = __addDisposableResource(env_2, await startFaultProxy({ target }), true);
                const expected = target.replace(/(?<=@|\/\/)(127\.0\.0\.1|localhost)(:\d+)?/, `127.0.0.1:${proxy.port}`);
                t.equal(proxy.url, expected);
            }
            catch (e_1) {
                env_2.error = e_1;
                env_2.hasError = true;
            }
            finally {
                const result_1 = __disposeResources(env_2);
                if (result_1)
                    await result_1;
            }
        }
        const plain = __addDisposableResource(env_1, await startFaultProxy({ target: { host: "127.0.0.1", port: 1 } }), true);
        t.equal(plain.url, `tcp://127.0.0.1:${plain.port}`);
        await plain.stop();
        await handles.assertNoLeaks();
    }
    catch (e_2) {
        env_1.error = e_2;
        env_1.hasError = true;
    }
    finally {
        const result_2 = __disposeResources(env_1);
        if (result_2)
            await result_2;
    }
});
//# sourceMappingURL=proxy.test.js.map
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import t from "tap";
import { assertNoLeaks, type FaultProxy, resourceContract, startFaultProxy, trackHandles } from "../src/index.ts";
import { Guard, isStewardError } from "@steward/core";
import { Manager, type ManagerContext } from "@steward/core/driver";

/** A server that answers every chunk with itself. */
async function startEcho(): Promise<Server> {
  const server = createServer((socket) => void socket.on("error", () => {}).pipe(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

interface EchoClient {
  say(text: string): Promise<string>;
}

/** A small but complete driver: a connection for each call, one guard. */
class EchoManager extends Manager<EchoClient> {
  readonly #client: EchoClient = { say: (text) => this.guard.run(({ signal }) => this.exchange(text, signal)) };
  protected readonly guard: Guard;
  protected readonly sockets = new Set<Socket>();
  readonly #port: number;

  constructor(port: number, context: ManagerContext) {
    super("echo", context);
    this.#port = port;
    this.guard = new Guard({ resource: this.name, clock: this.clock, refusal: () => this.unavailable() });
  }

  get client(): EchoClient {
    return this.#client;
  }

  protected async exchange(text: string, signal: AbortSignal): Promise<string> {
    const socket = connect({ port: this.#port, host: "127.0.0.1" });
    this.sockets.add(socket);
    const onAbort = (): void => void socket.destroy(new Error("given up"));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const answer = once(socket, "data");
      socket.write(text);
      return String((await answer)[0]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.sockets.delete(socket);
      socket.destroy();
    }
  }

  protected async onStart(signal: AbortSignal): Promise<void> {
    await this.exchange("hello", signal);
  }

  protected async onProbe(signal: AbortSignal): Promise<void> {
    await this.exchange("ping", signal);
  }

  protected override onDrain(): Promise<void> {
    return this.guard.idle();
  }

  protected onStop(): void {
    for (const socket of this.sockets) socket.destroy(new Error("closed"));
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    return { calls: this.guard.stats() };
  }
}

type Make = (port: number, context: ManagerContext) => EchoManager;

/** Runs the whole suite one case after the other, and gives the names of those that failed. */
async function failures(make: Make): Promise<string[]> {
  const cases: { name: string; fn: () => Promise<void> }[] = [];
  const server = await startEcho();
  const proxy = await proxyTo(server);
  resourceContract(
    { test: (name, fn) => cases.push({ name, fn }), assert },
    { create: (context) => make(proxy.port, context), use: (manager) => manager.client.say("hi"), proxy },
  );
  const failed: string[] = [];
  for (const { name, fn } of cases) await fn().catch(() => failed.push(name));
  await proxy.stop();
  server.close();
  return failed;
}

async function proxyTo(server: Server): Promise<FaultProxy> {
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
resourceContract(
  { test: (name, fn) => t.test(`a sound manager ${name}`, fn), assert },
  { create: (context) => new EchoManager(proxy.port, context), use: (manager) => manager.client.say("hi"), proxy },
);

let forgotten: Socket | undefined;

const broken: Record<string, { readonly make: Make; readonly fails: string }> = {
  "a connection left open by stop": {
    fails: "is idle until it is started, and its client exists already",
    make: (port, context) =>
      new (class extends EchoManager {
        protected override async onStart(): Promise<void> {
          // Only the first one of all: each leak costs the suite its whole patience.
          if (forgotten !== undefined) return;
          forgotten = connect({ port, host: "127.0.0.1" }).on("error", () => {});
          await once(forgotten, "connect");
        }
      })(port, context),
  },
  "a probe that asks nobody": {
    fails: "says so when the remote is silent, and when it is back",
    make: (port, context) =>
      new (class extends EchoManager {
        protected override async onProbe(): Promise<void> {}
      })(port, context),
  },
  "a client that calls past the guard": {
    fails: "refuses calls while it is not ready",
    make: (port, context) =>
      new (class extends EchoManager {
        override get client(): EchoClient {
          return { say: (text) => this.exchange(text, new AbortController().signal) };
        }
      })(port, context),
  },
  "a client made anew at each start": {
    fails: "starts again after a stop, with the same client",
    make: (port, context) =>
      new (class extends EchoManager {
        #generation: EchoClient | undefined;
        override get client(): EchoClient {
          return (this.#generation ??= { ...super.client });
        }
        protected override onStop(): void {
          super.onStop();
          this.#generation = undefined;
        }
      })(port, context),
  },
  "a drain that ends the calls in flight": {
    fails: "finishes the calls in flight when it drains, and refuses new ones",
    make: (port, context) =>
      new (class extends EchoManager {
        protected override async onDrain(): Promise<void> {
          this.onStop();
        }
      })(port, context),
  },
  "counts that do not add up": {
    fails: "counts every call once: started is succeeded, failed and in use together",
    make: (port, context) =>
      new (class extends EchoManager {
        protected override measure(): Readonly<Record<string, unknown>> {
          return { calls: { ...this.guard.stats(), succeeded: 0 } };
        }
      })(port, context),
  },
  "stats that show the live object": {
    fails: "gives stats in every phase, as a frozen plain snapshot",
    make: (port, context) =>
      new (class extends EchoManager {
        override stats(): Readonly<Record<string, unknown>> {
          return { phase: this.phase, calls: this.guard.stats() };
        }
      })(port, context),
  },
  "a second stop that fails": {
    fails: "stops once, however many ask",
    make: (port, context) =>
      new (class extends EchoManager {
        override async stop(): Promise<void> {
          if (this.phase === "stopped") throw new Error("not running");
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
  const all: string[] = [];
  const few: string[] = [];
  const create = (context: ManagerContext): EchoManager => new EchoManager(1, context);
  resourceContract({ test: (name) => all.push(name), assert }, { create, use: async () => {}, proxy });
  resourceContract({ test: (name) => few.push(name), assert }, { create });
  t.ok(few.length >= 18, String(few.length));
  t.equal(all.length, few.length + 6);
});

void t.test("a leak is named by kind and number, and is none once it is closed", async (t) => {
  const handles = trackHandles();
  const timer = setInterval(() => {}, 1_000);
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.same(handles.leaked(), { Timeout: 1, TCPServerWrap: 1 });
  const error: unknown = await handles.assertNoLeaks(20).catch((reason: unknown) => reason);
  t.ok(isStewardError(error, "HANDLES_LEAKED"));
  t.match(String(error), /1 Timeout|1 TCPServerWrap/);
  clearInterval(timer);
  listener.close();
  await handles.assertNoLeaks();
});

void t.test("work that leaves nothing open gives its value", async (t) => {
  t.equal(await assertNoLeaks(() => 42), 42);
  const leaving = assertNoLeaks(() => void setTimeout(() => {}, 500), 20);
  await t.rejects(leaving, { code: "HANDLES_LEAKED" });
});

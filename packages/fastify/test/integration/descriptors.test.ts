import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { trackHandles, until } from "@steward/testing";
import t from "tap";

const handles = trackHandles();
const LIMIT = 400;
const CLIENTS = 450;
const REQUEST_MS = 2_000;

/** An app with a management listener, as a user writes it. It says where it listens. */
const PROGRAM = `
import { container, runMain, serveManagement } from "@steward/container";
import { fastifyServer, handler, refusals, steward } from "@steward/fastify";
import { fastify } from "fastify";
const server = fastifyServer("server", {
  listen: () => ({ port: 0 }),
  app: async (_values, running) => {
    const app = fastify({ ...refusals(), requestTimeout: ${REQUEST_MS} });
    await app.register(steward, { running });
    app.get("/", handler({}, () => "hello"));
    return app;
  },
});
await runMain(container([server]), {
  logger: { info() {}, warn() {}, error: console.error },
  shutdownDelayMs: 0,
  onReady: async (running) => {
    const { url: management } = await serveManagement(running);
    console.log(JSON.stringify({ url: running.get(server).url, management }));
  },
});
`;

interface Program {
  readonly child: ChildProcess;
  readonly url: string;
  readonly management: string;
  /** Descriptors that it has open. */
  descriptors(): number;
}

async function started(): Promise<Program> {
  const script = `ulimit -n ${LIMIT} && exec "$0" --input-type=module --eval "$1"`;
  const child = spawn("sh", ["-c", script, process.execPath, PROGRAM], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const { url, management } = JSON.parse(line) as { url: string; management: string }; // the program's own
  return { child, url, management, descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length };
}

/** A client that sends half of a request, takes no notice of the server's end and stays. */
function halfOpen(url: string): Socket {
  const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nhost: a\r\nx: ");
  return socket;
}

async function status(url: string): Promise<number> {
  try {
    const answer = await fetch(url, { headers: { connection: "close" } });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return 0;
  }
}

t.test(
  `${CLIENTS} half-open clients against ${LIMIT} descriptors keep nobody from health, and no descriptor`,
  async (t) => {
    const { child, url, management, descriptors } = await started();
    t.equal(await status(url), 200);
    const before = descriptors();
    const clients = Array.from({ length: CLIENTS }, () => halfOpen(url));
    const since = performance.now();
    const health: number[] = [];
    const isHealthAsked = async (): Promise<void> => void health.push(await status(`${management}/livez`));
    await until(async () => (await isHealthAsked(), descriptors() > LIMIT / 2), "the clients are connected");
    t.equal(await status(`${url}/livez`), 0, "the public port is full");
    await until(
      async () => (await isHealthAsked(), (await status(`${url}/livez`)) === 200),
      "the public port answers again",
    );
    const back = performance.now() - since;
    await until(async () => (await isHealthAsked(), descriptors() <= before + 1), "the descriptors are back"); // one of asking
    t.comment(
      `public port back after ${Math.round(back)} ms of ${REQUEST_MS} + 5,000; management asked ${health.length} times`,
    );
    t.strictSame([...new Set(health)], [200]);
    for (const socket of clients) socket.destroy();
    child.kill("SIGTERM");
    t.strictSame(await once(child, "exit"), [0, null]);
  },
);

t.teardown(() => handles.assertNoLeaks());

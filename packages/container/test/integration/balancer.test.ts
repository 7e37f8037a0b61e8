import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import t from "tap";

/** How often the balancer asks for readiness, as HAProxy, nginx and most others do by default or slower. */
const POLL_MS = 1_000;
const WORKERS = 4;

const program = `
import { createServer } from "node:http";
import { resource } from "@steward/core";
import { container, healthEndpoints, runMain } from "@steward/container";
let running;
const health = healthEndpoints(() => running);
const server = resource("server", {
  start: async () => {
    const http = createServer((request, response) => {
      const answer = health(request.method, request.url, request.headers);
      if (answer !== undefined) return response.writeHead(answer.status, answer.headers).end(answer.body);
      setTimeout(() => response.end("hello"), 5);
    });
    await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
    return http;
  },
  drain: (http) => new Promise((resolve) => (http.close(resolve), http.closeIdleConnections())),
});
await runMain(container([server]), {
  ...JSON.parse(process.env.OPTIONS),
  onReady: (up) => ((running = up), console.log(up.get(server).address().port)),
});
`;

/** One instance of the program, and what the balancer believes of it. */
class Instance {
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown[]>;
  readonly #agent = new Agent({ keepAlive: true });
  #url = "";
  isReady = false;
  #polledAt = 0;

  constructor(options: object) {
    const { NODE_OPTIONS: _loader, KUBERNETES_SERVICE_HOST: _kubernetes, ...env } = process.env;
    const cwd = fileURLToPath(new URL("../../..", import.meta.url));
    this.#child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
      cwd,
      env: { ...env, OPTIONS: JSON.stringify(options) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.ended = once(this.#child, "close");
  }

  async ready(): Promise<void> {
    const [port] = await once(this.#child.stdout ?? this.#child, "data");
    this.#url = `http://127.0.0.1:${String(port).trim()}`;
    await this.poll();
  }

  /** Whether it is ready, as of the last poll. Where the machine has kept this process from one that is due, it comes first. */
  async readiness(): Promise<boolean> {
    if (performance.now() - this.#polledAt > 1.5 * POLL_MS) await this.poll();
    return this.isReady;
  }

  async poll(): Promise<void> {
    this.#polledAt = performance.now();
    this.isReady = await this.ask("/readyz").then(
      (status) => status === 200,
      () => false,
    );
  }

  /** One request over sockets that are kept. */
  async ask(path: string): Promise<number | undefined> {
    const [response] = (await once(get(this.#url + path, { agent: this.#agent }), "response")) as [IncomingMessage];
    await once(response.resume(), "end");
    return response.statusCode;
  }

  terminate(): void {
    this.#child.kill("SIGTERM");
  }

  end(): void {
    this.#agent.destroy();
    this.#child.kill("SIGKILL");
  }
}

/** SIGTERM to one of two instances under load; gives how many requests there were, and what became of those lost. */
async function terminateOne(options: object) {
  const instances = [new Instance(options), new Instance(options)] as const;
  await Promise.all(instances.map((instance) => instance.ready()));
  const [first] = instances;
  const abort = new AbortController();
  const lost: string[] = [];
  let sent = 0;
  const work = async (): Promise<void> => {
    while (!abort.signal.aborted) {
      for (const instance of instances) await instance.readiness();
      const ready = instances.filter(({ isReady }) => isReady);
      const target = ready[sent++ % Math.max(1, ready.length)];
      const status = await (target?.ask("/") ?? Promise.reject(new Error("none is ready"))).catch(String);
      if (status !== 200) lost.push(String(status));
    }
  };
  const balance = async (): Promise<void> => {
    while (!abort.signal.aborted) {
      await sleep(POLL_MS, undefined, { signal: abort.signal }).catch(() => {});
      await Promise.all(instances.map((instance) => instance.poll()));
    }
  };
  const load = Promise.all([balance(), ...Array.from({ length: WORKERS }, work)]);
  await sleep(500); // load before the signal
  const since = performance.now();
  first.terminate();
  const [code] = await first.ended;
  const tookMs = performance.now() - since;
  await sleep(POLL_MS + 200); // load after it, until the balancer knows in any case
  abort.abort();
  await load;
  for (const instance of instances) instance.end();
  return { sent, lost, code, tookMs };
}

t.test("a balancer that asks once a second loses no request when an instance gets SIGTERM, by default", async (t) => {
  const { sent, lost, code, tookMs } = await terminateOne({});
  t.comment(`${lost.length} lost of ${sent} requests, gone after ${Math.round(tookMs)} ms`);
  t.strictSame(lost, []);
  t.ok(sent > 200, `${sent} requests`);
  t.equal(code, 0);
  t.ok(tookMs >= 2_990, `${tookMs} ms`);
});

t.test("without the delay it loses some, so that the test above shows something", async (t) => {
  const { sent, lost } = await terminateOne({ shutdownDelayMs: 0 });
  t.comment(`${lost.length} lost of ${sent} requests`);
  t.ok(lost.length > 0, `${lost.length} of ${sent}`);
});

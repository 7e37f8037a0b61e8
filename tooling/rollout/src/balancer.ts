import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What stands between callers and replicas. */
export interface Balancer extends AsyncDisposable {
  /** What it is, for the table. */
  readonly name: string;
  /** Makes one request; rejects when there was no complete answer. */
  request(path: string): Promise<Answer>;
  /** A replica was told to end. */
  leaving(index: number): void;
  /** Waits until a replica gets requests. */
  joined(index: number): Promise<void>;
}

/** haproxy where it is installed, else a client that knows the replicas. */
export async function balance(ports: readonly number[], ownPort: number): Promise<Balancer> {
  return (await Haproxy.start(ports, ownPort)) ?? new Client(ports);
}

/** One GET over kept connections; the whole body is read. */
function request(agent: Agent, port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get({ agent, host: "127.0.0.1", port, path }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => (body += part));
      response.once("error", reject).once("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.once("close", () => response.complete || reject(new Error("the answer was cut off")));
    }).once("error", reject);
  });
}

/** The real thing, with the settings of haproxy.cfg. */
class Haproxy implements Balancer {
  readonly name: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 128 });
  readonly #port: number;
  readonly #folder: string;
  readonly #stop: () => Promise<unknown>;

  private constructor(name: string, port: number, folder: string, stop: () => Promise<unknown>) {
    this.name = name;
    this.#port = port;
    this.#folder = folder;
    this.#stop = stop;
  }

  static async start(ports: readonly number[], port: number): Promise<Haproxy | undefined> {
    const folder = await mkdtemp(join(tmpdir(), "rollout-"));
    const replicas = Object.fromEntries(ports.map((each, i) => [`REPLICA${i}`, String(each)]));
    const env = { ...process.env, ...replicas, PORT: String(port), ADMIN_SOCKET: join(folder, "admin") };
    const config = join(import.meta.dirname, "../haproxy.cfg");
    const child = spawn("haproxy", ["-db", "-f", config], { env, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const isMissing = await new Promise<boolean>((resolve) => {
      child.once("spawn", () => resolve(false)).once("error", () => resolve(true));
    });
    if (isMissing) return undefined;
    const balancer = new Haproxy(`haproxy, tooling/rollout/haproxy.cfg`, port, folder, async () => {
      child.kill("SIGTERM");
      await ended;
    });
    const tooEarly = ended.then(() => Promise.reject(new Error(`haproxy ended: ${said}`)));
    await Promise.race([Promise.all(ports.map((_, i) => balancer.joined(i))), tooEarly]);
    return balancer;
  }

  request(path: string): Promise<Answer> {
    return request(this.#agent, this.#port, path);
  }

  leaving(): void {} // it finds out by itself

  async joined(index: number): Promise<void> {
    while (!(await this.#isUp(index))) await sleep(50);
  }

  /** Asks haproxy's own socket: the 18th column of its statistics is the state. */
  async #isUp(index: number): Promise<boolean> {
    const socket = connect(join(this.#folder, "admin"));
    let text = "";
    try {
      socket.setEncoding("utf8").on("data", (part: string) => (text += part));
      socket.end("show stat\n");
      await once(socket, "close");
    } catch {
      return false; // it has not opened its socket yet
    }
    const row = text.split("\n").find((line) => line.startsWith(`clips,replica${index},`));
    return row?.split(",")[17]?.startsWith("UP") === true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    await this.#stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const REMOVAL_MS = 1_000;

/** Takes replicas in turn over kept connections, and leaves out those that were told to end 1 s ago. */
class Client implements Balancer {
  readonly name = "a keep-alive client that leaves out a replica 1 s after its SIGTERM";
  readonly #ports: readonly number[];
  readonly #agents: readonly Agent[];
  readonly #out = new Set<number>();
  readonly #removals = new Map<number, NodeJS.Timeout>();
  #next = 0;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#agents = ports.map(() => new Agent({ keepAlive: true }));
  }

  async request(path: string): Promise<Answer> {
    do this.#next = (this.#next + 1) % this.#ports.length;
    while (this.#out.has(this.#next));
    const [agent, port] = [this.#agents[this.#next], this.#ports[this.#next]];
    if (agent === undefined || port === undefined) throw new Error("there is no replica");
    return request(agent, port, path);
  }

  leaving(index: number): void {
    this.#removals.set(
      index,
      setTimeout(() => this.#out.add(index), REMOVAL_MS),
    );
  }

  async joined(index: number): Promise<void> {
    clearTimeout(this.#removals.get(index));
    this.#out.delete(index);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) agent.destroy();
  }
}

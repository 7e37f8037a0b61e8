import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request as send } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Where the replicas of Clips and the renderers listen. */
export interface Ports {
  readonly replicas: readonly number[];
  readonly renderers: readonly number[];
}

/** What stands between callers and replicas. */
export interface Balancer extends AsyncDisposable {
  /** What it is, for the table. */
  readonly name: string;
  /** Where WebSockets lead; tried in turn. */
  readonly webSocketUrls: readonly string[];
  /** The target of gRPC channels. */
  readonly grpcTarget: string;
  /** The address of the renderers, for Clips. */
  readonly rendererUrl: string;
  /** Makes one request, a POST where there is a body; rejects when there was no complete answer. */
  request(path: string, body?: unknown): Promise<Answer>;
  /** A replica was sent its signal. */
  ending(index: number): void;
  /** Waits until a replica gets requests. */
  joined(index: number): Promise<void>;
}

/** haproxy where it is installed, else a client that knows the replicas. */
export async function balance(ports: Ports, own: OwnPorts): Promise<Balancer> {
  return (await Haproxy.start(ports, own)) ?? new Client(ports);
}

/** Where the balancer itself listens. */
export interface OwnPorts {
  readonly http: number;
  readonly grpc: number;
}

/** One request over kept connections; the whole answer is read. */
function request(agent: Agent, port: number, path: string, body?: unknown): Promise<Answer> {
  const json = body === undefined ? undefined : JSON.stringify(body);
  const headers = json === undefined ? {} : { "content-type": "application/json" };
  const method = json === undefined ? "GET" : "POST";
  return new Promise((resolve, reject) => {
    send({ agent, host: "127.0.0.1", port, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.once("error", reject).once("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.once("close", () => response.complete || reject(new Error("the answer was cut off")));
    })
      .once("error", reject)
      .end(json);
  });
}

/** The real thing, with the settings of haproxy.cfg. */
class Haproxy implements Balancer {
  readonly name = "haproxy, tooling/chaos/haproxy.cfg";
  readonly webSocketUrls: readonly string[];
  readonly grpcTarget: string;
  readonly rendererUrl: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 128 });
  readonly #port: number;
  readonly #folder: string;
  readonly #stop: () => Promise<unknown>;

  private constructor({ http, grpc }: OwnPorts, folder: string, stop: () => Promise<unknown>) {
    this.webSocketUrls = [`ws://127.0.0.1:${http}/ws`];
    this.grpcTarget = `127.0.0.1:${grpc}`;
    this.rendererUrl = `http://${this.grpcTarget}`;
    this.#port = http;
    this.#folder = folder;
    this.#stop = stop;
  }

  static async start({ replicas, renderers }: Ports, own: OwnPorts): Promise<Haproxy | undefined> {
    const folder = await mkdtemp(join(tmpdir(), "steward-rollout-"));
    const env = {
      ...process.env,
      ...Object.fromEntries(replicas.map((each, i) => [`REPLICA${i}`, String(each)])),
      ...Object.fromEntries(renderers.map((each, i) => [`RENDERER${i}`, String(each)])),
      PORT: String(own.http),
      GRPC_PORT: String(own.grpc),
      ADMIN_SOCKET: join(folder, "admin"),
    };
    const config = join(import.meta.dirname, "../../haproxy.cfg");
    const child = spawn("haproxy", ["-db", "-f", config], { env, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const isMissing = await new Promise<boolean>((resolve) => {
      child.once("spawn", () => resolve(false)).once("error", () => resolve(true));
    });
    if (isMissing) return undefined;
    const balancer = new Haproxy(own, folder, async () => {
      child.kill("SIGTERM");
      await ended;
    });
    const tooEarly = ended.then(() => Promise.reject(new Error(`haproxy ended: ${said}`)));
    await Promise.race([balancer.#listens(), tooEarly]);
    return balancer;
  }

  async #listens(): Promise<void> {
    while ((await this.#statistics()) === "") await sleep(50);
  }

  request(path: string, body?: unknown): Promise<Answer> {
    return request(this.#agent, this.#port, path, body);
  }

  ending(): void {} // it finds out by itself

  async joined(index: number): Promise<void> {
    for (const server of [`clips,replica${index}`, `renderers,renderer${index}`])
      while (!isUp(await this.#statistics(), server)) await sleep(50);
  }

  /** Asks haproxy's own socket. */
  async #statistics(): Promise<string> {
    const socket = connect(join(this.#folder, "admin"));
    let text = "";
    try {
      socket.setEncoding("utf8").on("data", (part: string) => (text += part));
      socket.end("show stat\n");
      await once(socket, "close");
    } catch {
      return ""; // it has not opened its socket yet
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    await this.#stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The 18th column of haproxy's statistics is the state. */
function isUp(statistics: string, server: string): boolean {
  const row = statistics.split("\n").find((line) => line.startsWith(`${server},`));
  return row?.split(",")[17]?.startsWith("UP") === true;
}

const REMOVAL_MS = 1_000;

/** Takes replicas in turn over kept connections, and skips those that were sent a signal over 1 s ago. */
class Client implements Balancer {
  readonly name = "a keep-alive client that skips a replica 1 s after its SIGTERM";
  readonly webSocketUrls: readonly string[];
  readonly grpcTarget: string;
  readonly rendererUrl: string;
  readonly #ports: readonly number[];
  readonly #agents: readonly Agent[];
  readonly #out = new Set<number>();
  readonly #removals = new Map<number, NodeJS.Timeout>();
  #next = 0;

  constructor({ replicas, renderers }: Ports) {
    this.webSocketUrls = replicas.map((port) => `ws://127.0.0.1:${port}/ws`);
    this.grpcTarget = `ipv4:${renderers.map((port) => `127.0.0.1:${port}`).join(",")}`;
    this.rendererUrl = `http://127.0.0.1:${renderers[0]}`;
    this.#ports = replicas;
    this.#agents = replicas.map(() => new Agent({ keepAlive: true }));
  }

  async request(path: string, body?: unknown): Promise<Answer> {
    do this.#next = (this.#next + 1) % this.#ports.length;
    while (this.#out.has(this.#next));
    const [agent, port] = [this.#agents[this.#next], this.#ports[this.#next]];
    if (agent === undefined || port === undefined) throw new Error("there is no replica");
    return request(agent, port, path, body);
  }

  ending(index: number): void {
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

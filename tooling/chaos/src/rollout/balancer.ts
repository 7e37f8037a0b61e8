import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request as send } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock, type Clock } from "@steward/core";
import { endsWithDrill } from "./children.ts";
import type { App } from "./replica.ts";

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
  /** Makes one request, by default a POST where there is a body; rejects when there was no complete answer. */
  request(path: string, body?: unknown, method?: string): Promise<Answer>;
  /** Waits until a replica gets requests. */
  joined(index: number): Promise<void>;
}

/** Which balancer it is. */
export type BalancerName = "node" | "haproxy";

/** The balancer of Clips, or haproxy, which has to be installed. */
export function balance(which: BalancerName, app: App, ports: Ports, own: OwnPorts): Promise<Balancer> {
  return which === "haproxy" ? Haproxy.start(ports, own) : Node.start(app, ports, own);
}

/** Where the balancer itself listens. */
export interface OwnPorts {
  readonly http: number;
  readonly grpc: number;
}

/** One request over kept connections; the whole answer is read. */
function request(
  agent: Agent,
  port: number,
  path: string,
  body?: unknown,
  method = body === undefined ? "GET" : "POST",
): Promise<Answer> {
  const json = body === undefined ? undefined : JSON.stringify(body);
  const headers =
    json === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(json) };
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
  readonly #senders = new Senders();
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

  static async start({ replicas, renderers }: Ports, own: OwnPorts): Promise<Haproxy> {
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
    const child = endsWithDrill(spawn("haproxy", ["-db", "-f", config], { env, stdio: ["ignore", "ignore", "pipe"] }));
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const isMissing = await new Promise<boolean>((resolve) => {
      child.once("spawn", () => resolve(false)).once("error", () => resolve(true));
    });
    if (isMissing) throw new Error("haproxy is not installed: apt-get install haproxy");
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

  request(path: string, body?: unknown, method?: string): Promise<Answer> {
    return request(this.#senders.next(), this.#port, path, body, method);
  }

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
    this.#senders.end();
    await this.#stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The 18th column of haproxy's statistics is the state. */
function isUp(statistics: string, server: string): boolean {
  const row = statistics.split("\n").find((line) => line.startsWith(`${server},`));
  return row?.split(",")[17]?.startsWith("UP") === true;
}

/** What is used of the balancer of Clips, which is in a program and no package. */
interface ClipsBalancer {
  readonly targets: readonly { readonly name: string }[];
  start(host: string, port: number): Promise<string>;
  run(signal: AbortSignal): Promise<void>;
  drain(): Promise<void>;
  stop(): void;
}

type MakeBalancer = new (plan: { readonly targets: readonly object[]; readonly clock: Clock }) => ClipsBalancer;

/** What `npm start -- --replicas 3` uses. Calls of gRPC go to the renderers from the client's own list. */
class Node implements Balancer {
  readonly name = "the balancer of Clips";
  readonly webSocketUrls: readonly string[];
  readonly grpcTarget: string;
  readonly rendererUrl: string;
  readonly #senders = new Senders();
  readonly #port: number;
  readonly #balancer: ClipsBalancer;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  private constructor(balancer: ClipsBalancer, url: string, renderers: readonly number[]) {
    this.webSocketUrls = [`${url.replace("http", "ws")}/ws`];
    this.grpcTarget = `ipv4:${renderers.map((port) => `127.0.0.1:${port}`).join(",")}`;
    this.rendererUrl = `http://127.0.0.1:${renderers[0]}`;
    this.#port = Number(new URL(url).port);
    this.#balancer = balancer;
    this.#running = balancer.run(this.#stop.signal);
  }

  static async start(app: App, { replicas, renderers }: Ports, own: OwnPorts): Promise<Node> {
    const { Balancer } = (await import(app("replicas/balancer.js"))) as { readonly Balancer: MakeBalancer }; // as above
    const targets = replicas.map((port, index) => ({ name: String(index), host: "127.0.0.1", port }));
    const balancer = new Balancer({ targets, clock: systemClock });
    return new Node(balancer, await balancer.start("127.0.0.1", own.http), renderers);
  }

  request(path: string, body?: unknown, method?: string): Promise<Answer> {
    return request(this.#senders.next(), this.#port, path, body, method);
  }

  async joined(index: number): Promise<void> {
    while (!this.#balancer.targets.some(({ name }) => name === String(index))) await sleep(50);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#senders.end();
    this.#stop.abort();
    await this.#running;
    this.#balancer.stop();
    await this.#balancer.drain();
  }
}

/** Clients at several addresses of this machine, in turn, so that no limit of one address is met. */
class Senders {
  readonly #agents = [2, 3, 4, 5].map(
    (last) => new Agent({ keepAlive: true, maxSockets: 64, localAddress: `127.0.0.${last}` }),
  );
  #last = 0;

  next(): Agent {
    return this.#agents[this.#last++ % this.#agents.length] as Agent; // within its length
  }

  end(): void {
    for (const agent of this.#agents) agent.destroy();
  }
}

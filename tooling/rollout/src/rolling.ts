import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createTcp, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findRedis, startPostgres, startRedis } from "@steward/testing/servers";
import { balance, type Balancer } from "./balancer.ts";
import { Load, type LoadResult } from "./load.ts";
import { startClips, type Program } from "./replica.ts";

const REPLICAS = 3;
const SLOW_MS = 1_500;
/** The default delay of `runMain` where Kubernetes is detected. */
const DRAIN_MS = 5_000;

/** One rolling restart of all replicas. */
export interface Rolled extends LoadResult {
  /** From SIGTERM to the end of the process, of each replica, in ms. */
  readonly exitsMs: readonly number[];
  /** The longest that an exit may take: delay, longest request, 200 ms. */
  readonly allowedMs: number;
  readonly codes: readonly (number | null)[];
}

/** The rolling restarts, one after the other, and through what requests went. */
export interface Rollout {
  readonly balancer: string;
  readonly runs: readonly Rolled[];
  /** The same with SIGKILL, which has to lose requests: else the load would not notice a loss. */
  readonly control: Rolled;
  /** From the second signal to the end of the process, in ms. */
  readonly secondSignalMs: readonly number[];
}

/** Restarts three replicas of Clips one by one under load, as often as asked. */
export async function rollOut(app: string, runs: number, say: (what: string) => void): Promise<Rollout> {
  await using cluster = await Cluster.start(app);
  const rolled: Rolled[] = [];
  for (let run = 0; run < runs; run++) {
    rolled.push(await cluster.roll());
    say(
      `rolling restart ${run + 1} of ${runs}: ${[...(rolled.at(-1)?.lost.values() ?? [])].reduce((a, b) => a + b, 0)} of ${rolled.at(-1)?.sent} requests lost`,
    );
  }
  const control = await cluster.roll("SIGKILL");
  return { balancer: cluster.balancer.name, runs: rolled, control, secondSignalMs: await cluster.endImpatiently() };
}

/** Three replicas on one database, a balancer before them, and a service that takes its time behind them. */
class Cluster implements AsyncDisposable {
  readonly balancer: Balancer;
  readonly #replicas: Program[];
  readonly #start: (index: number) => Promise<Program>;
  readonly #slowPath: string;
  readonly #release: () => Promise<void>;

  private constructor(parts: {
    balancer: Balancer;
    replicas: Program[];
    start: (index: number) => Promise<Program>;
    slowPath: string;
    release: () => Promise<void>;
  }) {
    this.balancer = parts.balancer;
    this.#replicas = parts.replicas;
    this.#start = parts.start;
    this.#slowPath = parts.slowPath;
    this.#release = parts.release;
  }

  static async start(app: string): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), "rollout-data-"));
    const database = await startPostgres({ database: "clips" });
    const redis = findRedis() === undefined ? undefined : await startRedis();
    const slow = createServer((_request, response) => void setTimeout(() => response.end("late"), SLOW_MS));
    const origin = `http://127.0.0.1:${await portOf(slow)}`;
    const env = {
      DATABASE_URL: database.url,
      ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      DATA_DIR: folder,
      ALLOWED_ORIGINS: origin,
    };
    const [ownPort = 0, ...ports] = await freePorts(REPLICAS + 1);
    const start = (index: number): Promise<Program> => startClips(app, ports[index] ?? 0, env);
    const replicas: Program[] = [];
    for (let i = 0; i < REPLICAS; i++) replicas.push(await start(i)); // the first one migrates
    const balancer = await balance(ports, ownPort);
    const release = async (): Promise<void> => {
      await balancer[Symbol.asyncDispose]();
      await Promise.all(replicas.map((replica) => replica[Symbol.asyncDispose]()));
      slow.close().closeAllConnections();
      await redis?.stop();
      await database.stop();
      await rm(folder, { recursive: true, force: true });
    };
    return new Cluster({ balancer, replicas, start, slowPath: `/api/data?url=${encodeURIComponent(origin)}`, release });
  }

  async roll(signal: NodeJS.Signals = "SIGTERM"): Promise<Rolled> {
    const load = new Load(this.balancer, this.#slowPath);
    await sleep(1_000);
    const [exitsMs, codes] = [[] as number[], [] as (number | null)[]];
    for (const [index, replica] of this.#replicas.entries()) {
      this.balancer.leaving(index);
      exitsMs.push(await replica.endAfter(signal));
      codes.push((await replica.ended).code);
      this.#replicas[index] = await this.#start(index);
      await this.balancer.joined(index);
      await sleep(500);
    }
    const result = await load.end();
    return { ...result, exitsMs, codes, allowedMs: DRAIN_MS + result.longestMs + 200 };
  }

  /** Ends one after the other by two signals, the second while the first is still waited for. */
  async endImpatiently(): Promise<number[]> {
    const endedMs: number[] = [];
    for (const replica of this.#replicas) {
      replica.kill("SIGTERM");
      await sleep(1_000);
      endedMs.push(await replica.endAfter("SIGTERM"));
    }
    return endedMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#release();
  }
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port; // it listens on TCP
}

/** Ports that nobody had a moment ago. All are taken before any is given back, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createTcp());
  const ports = await Promise.all(servers.map(portOf));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

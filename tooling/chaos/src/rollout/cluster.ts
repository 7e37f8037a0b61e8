import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "@steward/harness";
import { findRedis, startPostgres, startRedis, type PostgresServer, type RedisServer } from "@steward/launchers";
import { balance, type Balancer, type BalancerName, type Ports } from "./balancer.ts";
import { production, startClips, startRenderer, type App, type Program, type Setting } from "./replica.ts";

const REPLICAS = 3;
const SLOW_MS = 1_500;
/** A job of 20 steps takes 2 s then, so some are always in the middle. */
const RENDERER_STEP_MS = 100;

/** A replica of Clips and a renderer, restarted together. */
export interface Pair {
  readonly clips: Program;
  readonly renderer: Program;
}

type StartPair = (app: App, index: number) => Promise<Pair>;

/** What a cluster is. */
export interface ClusterPlan {
  readonly app: App;
  readonly setting: Setting;
  readonly balancer: BalancerName;
  /** How much of the usual load, 1 for all of it. */
  readonly share: number;
}

/** What all replicas share. */
export interface Shared {
  readonly database: PostgresServer;
  /** `undefined` where there is no program for it. */
  readonly redis: RedisServer | undefined;
}

/** Replicas on one database, renderers, a balancer before both, and a service that takes its time behind them. */
export class Cluster implements AsyncDisposable {
  readonly balancer: Balancer;
  /** Takes 1.5 s. */
  readonly slowPath: string;
  readonly shared: Shared;
  readonly #pairs: Pair[];
  readonly #start: StartPair;
  readonly #release: () => Promise<void>;

  private constructor(
    balancer: Balancer,
    slowPath: string,
    shared: Shared,
    pairs: { readonly now: Pair[]; readonly start: StartPair },
    release: () => Promise<void>,
  ) {
    this.balancer = balancer;
    this.slowPath = slowPath;
    this.shared = shared;
    this.#pairs = pairs.now;
    this.#start = pairs.start;
    this.#release = release;
  }

  get pairs(): readonly Pair[] {
    return this.#pairs;
  }

  /** @param first The version that is started, where it is not that of the plan. */
  static async start({ app, setting, balancer: which }: ClusterPlan, first: App = app): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), "rollout-data-"));
    const database = await startPostgres({ database: "clips" });
    const redis = findRedis() === undefined ? undefined : await startRedis();
    const slow = createServer(({ method }, response) => {
      // It is slow and not frozen: whether it is there at all, which HEAD asks, it says at once.
      setTimeout(() => response.end("late"), method === "HEAD" ? 0 : SLOW_MS);
    });
    const origin = `http://127.0.0.1:${await portOf(slow)}`;
    const [http = 0, grpc = 0, ...others] = await freePorts(2 + 2 * REPLICAS);
    const ports = { replicas: others.slice(0, REPLICAS), renderers: others.slice(REPLICAS) };
    const balancer = await balance(which, app, ports, { http, grpc });
    const start = pairStarter(ports, {
      ...production(setting),
      TRUSTED_PROXIES: "127.0.0.1",
      DATABASE_URL: database.url,
      ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      RENDERER_URL: balancer.rendererUrl,
      RENDERER_STEP_MS: String(RENDERER_STEP_MS),
      DATA_DIR: folder,
      ALLOWED_ORIGINS: origin,
    });
    const pairs: Pair[] = [];
    for (let i = 0; i < REPLICAS; i++) pairs.push(await start(first, i)); // the first one migrates
    for (let i = 0; i < REPLICAS; i++) await balancer.joined(i);
    const slowPath = `/api/data?url=${encodeURIComponent(origin)}`;
    return new Cluster(balancer, slowPath, { database, redis }, { now: pairs, start }, async () => {
      await balancer[Symbol.asyncDispose]();
      await Promise.all(
        pairs.flatMap(({ clips, renderer }) => [clips, renderer]).map((one) => one[Symbol.asyncDispose]()),
      );
      slow.close().closeAllConnections();
      await redis?.stop();
      await database.stop();
      await rm(folder, { recursive: true, force: true });
    });
  }

  /** Starts a pair that has ended again, maybe of another version, and waits until the balancer has it back. */
  async again(app: App, index: number): Promise<void> {
    this.#pairs[index] = await this.#start(app, index);
    await this.balancer.joined(index);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#release();
  }
}

function pairStarter({ replicas, renderers }: Ports, env: Readonly<Record<string, string>>): StartPair {
  return async (app, index) => {
    const renderer = await startRenderer(app, renderers[index] ?? 0, env);
    try {
      return { renderer, clips: await startClips(app, replicas[index] ?? 0, env) };
    } catch (error) {
      await renderer[Symbol.asyncDispose]();
      throw error;
    }
  };
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port; // it listens on TCP
}

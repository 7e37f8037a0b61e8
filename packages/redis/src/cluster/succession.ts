import type { Redis } from "ioredis";
import type { RedisClusterClient } from "./client.ts";

type Place = "all" | "master" | "slave";

/** What the driver keeps its connections to the nodes in. */
interface NodePool {
  readonly nodes: Readonly<Record<Place, Record<string, Redis>>>;
  findOrCreate(node: { host?: string | undefined; port?: number | undefined }, isReplica: boolean): Redis;
  removeNode(key: string): void;
}

/**
 * A second connection to a node, which takes the place of the first once it is ready: a command that met neither would be
 * sent again by the driver, and its callback be called twice.
 */
export class Succession {
  readonly successor: Redis;
  readonly #old: Redis;
  readonly #pool: NodePool;
  readonly #key: string;

  constructor(client: RedisClusterClient, old: Redis) {
    const pool = Reflect.get(client, "connectionPool") as unknown as NodePool; // the driver's types hide it
    const { host, port } = old.options;
    this.#old = old;
    this.#pool = pool;
    this.#key = Object.keys(pool.nodes.all).find((key) => pool.nodes.all[key] === old) ?? `${host}:${port}`;
    pool.removeNode(this.#key);
    this.successor = pool.findOrCreate({ host, port }, old.options.readOnly === true);
    this.#put(old);
  }

  /** Lets the successor take its place. False where it does not answer, or where the place is gone. */
  async complete(): Promise<boolean> {
    const isReady = await new Promise<boolean>((resolve) => {
      this.successor.once("ready", () => resolve(true));
      this.successor.once("close", () => resolve(false));
    });
    const mayTake = isReady && this.#pool.nodes.all[this.#key] === this.#old;
    if (mayTake) this.#put(this.successor);
    return mayTake;
  }

  #put(redis: Redis): void {
    const { nodes } = this.#pool;
    this.#pool.removeNode(this.#key);
    nodes.all[this.#key] = redis;
    nodes[this.#old.options.readOnly === true ? "slave" : "master"][this.#key] = redis;
  }
}

import type { Clock } from "@steward/core";
import type { FastifyBaseLogger } from "fastify";
import { Replica, type Variables } from "./replica.ts";

/** One of the replicas, whichever process it is at present: another one gets the same ports. */
export interface Place {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly managementPort: number;
  /** Of its own renderer; 0 for a free one. */
  readonly rendererPort: number;
}

/** What replicas need. */
export interface ReplicasPlan {
  readonly places: readonly Place[];
  /** What all of them are started with. */
  readonly env: Variables;
  readonly say: (line: string) => void;
  readonly log: Pick<FastifyBaseLogger, "warn">;
  readonly clock: Clock;
}

/** How long one that has ended stays away, in ms. */
const PAUSE_MS = 1_000;

/** Several Clips of this machine. One that ends is started again. */
export class Replicas {
  readonly #plan: ReplicasPlan;
  readonly #running = new Map<Place, Replica>();

  constructor(plan: ReplicasPlan) {
    this.#plan = plan;
  }

  get places(): readonly Place[] {
    return this.#plan.places;
  }

  /** What opens their dashboards. */
  get token(): string {
    return this.#plan.env["CLIPS_ADMIN_TOKEN"] ?? "";
  }

  /** The process of a replica. */
  pidOf(place: Place): number | undefined {
    return this.#running.get(place)?.pid;
  }

  /** Starts all of them, and waits until they are ready; where one fails, none is left. */
  async start(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all(this.places.map((place) => this.#startOne(place).ready(signal)));
    } catch (error) {
      await this.stop(AbortSignal.abort());
      throw error;
    }
  }

  #startOne(place: Place): Replica {
    const { env, say } = this.#plan;
    const { name, port, managementPort, rendererPort } = place;
    const ports = { PORT: port, MANAGEMENT_PORT: managementPort, RENDERER_PORT: rendererPort };
    const own = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)]));
    const replica = new Replica({ name, env: { ...env, ...own }, say });
    this.#running.set(place, replica);
    return replica;
  }

  /** Starts again what ends, until `signal` aborts. */
  async keepUp(signal: AbortSignal): Promise<void> {
    await Promise.all(this.places.map((place) => this.#keepUp(place, signal)));
  }

  async #keepUp(place: Place, signal: AbortSignal): Promise<void> {
    const over = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    while (!signal.aborted) {
      const how = await Promise.race([this.#running.get(place)?.ended, over]);
      if (signal.aborted) return;
      this.#plan.log.warn(`${place.name} has ended (${how}); starting it again`);
      await this.#plan.clock.sleep(PAUSE_MS, signal).catch(() => {});
      if (!signal.aborted) this.#startOne(place);
    }
  }

  /** Ends all of them. */
  async stop(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#running.values()].map((replica) => replica.stop(signal)));
  }
}

import { FakeClock } from "@steward/testing";
import { parentPort, workerData } from "node:worker_threads";
import { Graphs, Trouble } from "./graph.ts";
import { Life, type World } from "./life.ts";
import { Ledger, Owner } from "./parts.ts";
import { Random } from "./random.ts";

/** What a worker is to run. */
export interface Task {
  readonly seeds: readonly number[];
  readonly restarts: number;
}

/** What came of it: the seed that failed first, or how much was seen. */
export type Outcome =
  | { readonly seed: number; readonly breaches: readonly string[]; readonly log: readonly string[] }
  | { readonly restarts: number; readonly uses: number };

/** Longer than anything that was left behind may take. */
const AFTERMATH_MS = 60_000;

/** Restarts within one life of a container, before it is stopped with whatever is in progress. */
const MOST_RESTARTS = 60;

const { seeds, restarts } = workerData as Task; // the test gives it

/** One seed: containers live one after the other, two at a time for a while, until there were enough restarts. */
class Run {
  readonly world: World;
  readonly #graphs: Graphs;
  readonly #group: Group;
  restarts = 0;
  #containers = 0;

  constructor(seed: number) {
    const clock = new FakeClock();
    const random = new Random(seed);
    const ledger = new Ledger(clock);
    const trouble = new Trouble();
    this.world = { ledger, clock, random, trouble };
    this.#graphs = new Graphs(ledger, random, trouble);
    this.#group = new Group("p", clock);
  }

  async all(): Promise<void> {
    const original = Math.random;
    const unhandled = (error: unknown): void => this.world.ledger.breach(`unhandled: ${String(error)}`);
    process.on("unhandledRejection", unhandled);
    Math.random = this.world.random.next; // jitter
    try {
      while (this.restarts < restarts && this.world.ledger.breaches.length === 0) await this.#generation();
    } finally {
      Math.random = original;
      process.off("unhandledRejection", unhandled);
    }
  }

  /** Containers that share process resources. */
  async #generation(): Promise<void> {
    const { clock, random } = this.world;
    const shared = this.#graphs.shared(this.#group);
    this.#group.owners.length = 0;
    const lives = [await this.#live(shared)];
    for (let left = 1 + random.below(MOST_RESTARTS); left > 0; left--) {
      if (lives.length === 1 && random.chance(0.02)) lives.push(await this.#live(shared));
      for (const life of lives) await this.#step(life);
    }
    const stopping = lives.map(async (life) => {
      if (random.chance(0.5)) await clock.sleep(random.below(40));
      await life?.stop();
    });
    await clock.runUntil(Promise.all(stopping));
    await this.#aftermath(lives);
  }

  async #live(shared: Parameters<Graphs["make"]>[1]): Promise<Life | undefined> {
    const { clock, trouble } = this.world;
    const owner = new Owner(String.fromCodePoint(97 + (this.#containers++ % 15)), clock);
    this.#group.owners.push(owner);
    trouble.share = 0.01;
    const life = await Life.start(this.world, owner, this.#graphs.make(owner, shared));
    trouble.share = 0.05;
    return life;
  }

  async #step(life: Life | undefined): Promise<void> {
    const { clock, random, trouble } = this.world;
    if (life === undefined) return;
    if (random.chance(0.1)) trouble.isDown = !trouble.isDown;
    for (let uses = random.below(4); uses > 0; uses--) life.use();
    while (life.isRestarting) await clock.advanceToNext();
    life.restart();
    this.restarts++;
    for (let uses = random.below(2); uses > 0; uses--) {
      for (let turns = random.below(12); turns > 0; turns--) await Promise.resolve();
      life.use();
    }
    if (random.chance(0.7)) await clock.advance(random.below(20));
  }

  /** Everything has ended, in good time, and nothing is left. */
  async #aftermath(lives: readonly (Life | undefined)[]): Promise<void> {
    const { clock, ledger } = this.world;
    await clock.advance(AFTERMATH_MS);
    for (const life of lives) for (const what of life?.stuck ?? []) ledger.breach(`it never ends: ${what}`);
    for (const part of ledger.alive) ledger.breach(`${part.name} is ${part.state} for ever`);
    if (clock.pending > 0) ledger.breach(`${clock.pending} timers are left`);
  }
}

/** The containers that share resources: what counts for one of them counts for those. */
class Group extends Owner {
  readonly owners: Owner[] = [];

  override get isPastDrain(): boolean {
    return this.owners.some((owner) => owner.isPastDrain);
  }

  override get isStopping(): boolean {
    return this.owners.some((owner) => owner.isStopping);
  }

  override get isForced(): boolean {
    return this.owners.some((owner) => owner.isForced);
  }
}

async function runAll(): Promise<Outcome> {
  const seen = { restarts: 0, uses: 0 };
  for (const seed of seeds) {
    const run = new Run(seed);
    await run.all();
    const { breaches, log, uses } = run.world.ledger;
    if (breaches.length > 0) return { seed, breaches, log };
    seen.restarts += run.restarts;
    seen.uses += uses;
  }
  return seen;
}

parentPort?.postMessage(await runAll(), []);

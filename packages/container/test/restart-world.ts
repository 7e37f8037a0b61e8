import { container, type RunningContainer } from "../src/index.ts";
import { cached, current, fresh, isStewardError, lazy, resource, type Definition } from "@steward/core";
import type { Needs } from "@steward/core/container";
import { FakeClock } from "@steward/testing";

/** An instance of something, and the instances that it was made with. */
export interface Part {
  readonly name: string;
  readonly no: number;
  readonly holds: readonly Part[];
  /** True when its start had been given up before it arrived: then only its stop counts. */
  readonly isLate: boolean;
  open: boolean;
}

type PartDefinition = Definition<Part, "application">;

/** Numbers that look random, the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What happened in a world, and every rule that was broken. */
export class Ledger {
  readonly broken: string[] = [];
  readonly alive = new Set<Part>();
  starts = 0;
  restarts = 0;
  failedRestarts = 0;
  uses = 0;
  stops = 0;
  #no = 0;

  add(name: string, holds: readonly Part[], isLate: boolean): Part {
    const part: Part = { name, no: ++this.#no, holds, isLate, open: true };
    this.alive.add(part);
    this.starts++;
    return part;
  }

  /** A part stops; none that holds it may be up, unless the time for an orderly stop is over. */
  remove(part: Part, isOver: boolean): void {
    if (!part.open) this.broken.push(`${named(part)} was stopped twice`);
    part.open = false;
    this.alive.delete(part);
    if (isOver) return;
    for (const other of this.alive)
      if (!other.isLate && other.holds.includes(part))
        this.broken.push(`${named(part)} stopped before ${named(other)}`);
  }

  use(part: Part, where: string): void {
    this.uses++;
    if (!part.open) this.broken.push(`${where} uses ${named(part)}, which is stopped`);
    for (const held of part.holds) this.use(held, `${where} > ${part.name}`);
  }
}

function named({ name, no }: Part): string {
  return `${name} ${no}`;
}

/** Codes that callers may meet while resources restart, fail and stop. */
const EXPECTED = [
  "RESTART_FAILED",
  "RESTART_REFUSED",
  "START_FAILED",
  "CONTAINER_CLOSED",
  "SCOPE_CLOSED",
  "STOP_TIMEOUT",
];
const NODES = 5;
const WORKERS = 2;

/** One seed: containers that are started, used by scopes, sessions and lazy needs, restarted at random, and stopped in the middle. */
export class World {
  readonly ledger = new Ledger();
  readonly clock = new FakeClock();
  readonly #random: () => number;
  readonly #nodes: PartDefinition[] = [];
  /** How starts go: well, or as they come. */
  #isRough = false;
  /** From when on a stop of the container may do without order. */
  #overAt = Number.POSITIVE_INFINITY;
  #isStopping = false;
  /** No other container has the same resources. */
  #isAlone = true;

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  /** Runs containers one after the other until so many restarts were asked for. */
  async run(restarts: number): Promise<Ledger> {
    while (this.ledger.restarts + this.ledger.failedRestarts < restarts) await this.#live(Math.min(restarts, 40));
    return this.ledger;
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)] as T; // it is not empty
  }

  // --- resources ---------------------------------------------------------------------------------------------------

  #part(name: string, needs: Needs, lifetime = "application"): PartDefinition {
    const isHeld = lifetime === "application" || lifetime === "process";
    const isStopFirst = isHeld && this.#chance(0.15);
    const bounds = { restart: isStopFirst ? "stop-first" : "start-first", startTimeoutMs: 60, stopTimeoutMs: 40 };
    return resource(name, {
      ...(isHeld ? bounds : {}),
      lifetime,
      needs,
      start: async (values: object, { signal }: { readonly signal: AbortSignal }) => {
        const holds = partsIn(values);
        if (!signal.aborted)
          for (const held of holds) if (!held.open) this.#broken(`${name} starts on ${named(held)}, which is stopped`);
        if (
          isStopFirst &&
          name.startsWith("node") &&
          this.#isAlone &&
          !signal.aborted &&
          [...this.ledger.alive].some((one) => one.name === name && !one.isLate)
        )
          this.#broken(`${name} exists twice`);
        await this.#startUp(name, values, isHeld ? signal : undefined);
        return this.ledger.add(name, holds, signal.aborted);
      },
      stop: async (part: Part) => {
        this.ledger.remove(part, this.#isOver);
        if (this.#chance(0.5)) await this.#pause(4);
        if (this.#isRough && this.#chance(0.02)) throw new Error("stop fails");
      },
    } as never) as unknown as PartDefinition; // needs are made at run time
  }

  get #isOver(): boolean {
    return this.clock.now() >= this.#overAt;
  }

  #broken(what: string): void {
    if (!this.#isOver) this.ledger.broken.push(`${what} (at ${this.clock.now()})`);
  }

  async #startUp(name: string, values: object, signal: AbortSignal | undefined): Promise<void> {
    const { late } = values as { readonly late?: () => Promise<Part> };
    if (late !== undefined && this.#chance(0.3)) await late();
    if (this.#chance(0.5)) await this.#pause(6);
    if (!this.#isRough || !this.#chance(0.12)) return;
    const fate = this.#random();
    if (fate < 0.5 || signal === undefined) throw new Error(`${name} does not start`);
    if (fate < 0.8) await this.clock.sleep(10_000, signal);
    await this.clock.sleep(1_500); // it ignores its signal and comes late
  }

  async #pause(mostMs: number): Promise<void> {
    const ms = this.#below(mostMs);
    if (ms > 0) await this.clock.sleep(ms);
  }

  #needsOf(count: number): Needs {
    const needs: Record<string, Definition<Part>> = {};
    for (const [i, node] of this.#nodes.slice(0, count).entries()) if (this.#chance(0.35)) needs[`n${i}`] = node;
    return needs;
  }

  // --- one container -----------------------------------------------------------------------------------------------

  async #live(restarts: number): Promise<void> {
    this.#isRough = this.#isStopping = false;
    this.#overAt = Number.POSITIVE_INFINITY;
    const { roots, actions } = this.#build();
    const app = container(roots as never, { clock: this.clock, drainTimeoutMs: 2_000, health: false });
    const running = (await this.clock.runUntil(app.start([] as never))) as RunningContainer;
    this.#isAlone = this.#chance(0.8);
    const neighbour = !this.#isAlone ? await this.clock.runUntil(app.start([] as never)) : undefined;
    this.#isRough = this.#chance(0.7);
    const workers = Array.from({ length: WORKERS }, () => this.#work(running, actions));
    const asked = this.#restartAll(running, restarts);
    await this.clock.runUntil(Promise.all([asked, ...workers]));
    if (neighbour !== undefined) await this.clock.runUntil((neighbour as RunningContainer).stop().catch(() => {}));
    await this.clock.advance(15_000); // what comes late is stopped when it comes
    for (const part of this.ledger.alive) this.ledger.broken.push(`${named(part)} was never stopped`);
    this.ledger.alive.clear();
    if (this.clock.holding > 0) this.ledger.broken.push(`${this.clock.holding} timers are left`);
  }

  #build(): { readonly roots: readonly Definition<Part, string>[]; readonly actions: readonly Action[] } {
    this.#nodes.length = 0;
    const shared = this.#part("shared", {}, "process");
    this.#nodes.push(shared, this.#part("sharedToo", { shared }, "process"));
    for (let i = 2; i < NODES; i++) this.#nodes.push(this.#part(`node${i}`, this.#needsOf(i)));
    const late = this.#part("late", this.#needsOf(NODES));
    const lateToo = this.#part("lateToo", { ...this.#needsOf(NODES), late: lazy(late) });
    const holder = this.#part("holder", {
      ...this.#needsOf(3),
      late: lazy(lateToo),
      eye: current(this.#pick(this.#nodes)),
    });
    const model = this.#part("model", this.#needsOf(NODES));
    const own = fresh(this.#part("copy", this.#needsOf(NODES)));
    const profile = this.#part("profile", this.#needsOf(NODES), "session");
    const basket = this.#part("basket", { ...this.#needsOf(NODES), profile }, "session");
    const unit = this.#part("unit", { ...this.#needsOf(NODES) }, "request");
    const query = this.#part("query", { model: cached(model, { ttlMs: 20 }) }, "request");
    const lazyUnit = this.#part("lazyUnit", { late: lazy(late), own }, "request");
    const nodes = this.#nodes;
    const actions: Action[] = [
      (running, work) => running.scope([] as never, { unit, node: this.#pick(nodes) } as never, work as never),
      (running, work) => running.scope([] as never, { query } as never, work as never),
      (running, work) => running.scope([] as never, { lazyUnit, late: lazy(late) } as never, work as never),
      (running, work) => running.scope([] as never, { holder, late: lazy(lateToo) } as never, work as never),
      (running, work) => running.session(`u${this.#below(2)}`).scope([] as never, { basket } as never, work as never),
      (running) => running.session("u0").end(),
    ];
    return { roots: [...nodes, holder, unit, query, lazyUnit, basket] as never, actions };
  }

  async #work(running: RunningContainer, actions: readonly Action[]): Promise<void> {
    while (!this.#isStopping) {
      await this.#attempt(() => this.#pick(actions)(running, (values, scope) => this.#handle(values, scope)));
      await this.clock.sleep(1 + this.#below(12));
    }
  }

  /** A handler: it uses what it was handed, waits, and uses it again. */
  async #handle(values: Record<string, unknown>, scope: { readonly signal: AbortSignal }): Promise<void> {
    const parts = partsIn(values);
    for (const part of parts) this.ledger.use(part, "a scope");
    const { late } = values as { readonly late?: () => Promise<Part> };
    if (late !== undefined) parts.push(await late());
    await this.#pause(12);
    if (this.#isRough && this.#chance(0.02)) await this.clock.sleep(1_500, scope.signal); // less than the drain timeout
    if (scope.signal.aborted) return;
    for (const part of parts) this.ledger.use(part, "a scope later on");
  }

  async #restartAll(running: RunningContainer, restarts: number): Promise<void> {
    const asked: Promise<void>[] = [];
    for (let i = 0; i < restarts; i++) {
      const options = this.#chance(0.1) ? { timeoutMs: this.#below(30) } : {};
      asked.push(this.#restart(running, this.#pick(this.#nodes), options));
      if (this.#chance(0.6)) await this.clock.sleep(this.#below(30));
      if (this.#chance(0.5)) await asked.at(-1);
    }
    if (this.#chance(0.5)) await Promise.all(asked);
    await this.#stop(running);
    await Promise.all(asked);
  }

  async #restart(
    running: RunningContainer,
    node: PartDefinition,
    options: { readonly timeoutMs?: number },
  ): Promise<void> {
    if (await this.#attempt(() => running.restart(node, options))) this.ledger.restarts++;
    else this.ledger.failedRestarts++;
  }

  async #stop(running: RunningContainer): Promise<void> {
    const timeoutMs = this.#pick([0, 5, 50, 500, 5_000]);
    const since = this.clock.now();
    this.#overAt = since + timeoutMs / 2; // the other half is for what could not end in order
    this.#isStopping = true;
    this.ledger.stops++;
    await running.stop({ timeoutMs }).catch(() => {});
    const tookMs = this.clock.now() - since;
    if (tookMs > timeoutMs + 100) this.ledger.broken.push(`a stop that may take ${timeoutMs} ms took ${tookMs} ms`);
  }

  /** Says whether it went well; an error that callers do not expect is broken. */
  async #attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      const isExpected = EXPECTED.some((code) => isStewardError(error, code)) || isOfWorld(error);
      if (!isExpected) this.ledger.broken.push(`unexpected: ${String(error)}`);
      return false;
    }
  }
}

type Work = (values: Record<string, unknown>, scope: { readonly signal: AbortSignal }) => Promise<void>;
type Action = (running: RunningContainer, work: Work) => Promise<unknown>;

/** What starts and stops of this world throw, and what is thrown when they are aborted. */
function isOfWorld(error: unknown): boolean {
  return (
    (error instanceof Error && /does not start|stop fails/.test(error.message)) ||
    isStewardError(error, "START_TIMEOUT") ||
    isStewardError(error, "START_ABORTED")
  );
}

function partsIn(values: object): Part[] {
  return Object.values(values).filter(
    (value): value is Part => typeof value === "object" && value !== null && "holds" in value,
  );
}

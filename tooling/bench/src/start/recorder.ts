import type { LifeGraph, LifeNode } from "./graph.ts";

/** What a node's start gives. */
export interface Thing {
  readonly node: LifeNode;
}

/** Waits; rejects when the signal aborts first. */
export type Pause = (ms: number, signal?: AbortSignal) => Promise<void>;

/** The work of every node, and the one who watches it: what ran, in which order, what was left behind. */
export class Recorder {
  readonly #graph: LifeGraph;
  readonly #pause: Pause;
  readonly #dependants: readonly (readonly number[])[];
  readonly #started = new Set<number>();
  readonly #begun = new Set<number>();
  readonly #stopped = new Set<number>();
  readonly #starting = new Set<number>();
  /** Edges whose lower end was not ready when the upper one began to start. */
  startViolations = 0;
  /** Edges whose upper end was still up when the lower one began to stop. */
  stopViolations = 0;
  /** Nodes that were started twice, or stopped twice. */
  repeated = 0;
  /** Nodes that were stopped although they had never started. */
  neverStarted = 0;

  constructor(graph: LifeGraph, pause: Pause) {
    this.#graph = graph;
    this.#pause = pause;
    const dependants: number[][] = graph.map(() => []);
    for (const node of graph) for (const need of node.needs) dependants[need]?.push(node.index);
    this.#dependants = dependants;
  }

  /** Nodes that have started, stopped ones too. */
  get started(): number {
    return this.#started.size;
  }

  /** Nodes whose start is under way. */
  get inFlight(): number {
    return this.#starting.size;
  }

  /** Nodes that have started and not been stopped. */
  get up(): number {
    return [...this.#started].filter((index) => !this.#stopped.has(index)).length;
  }

  async start(node: LifeNode, signal?: AbortSignal): Promise<Thing> {
    if (this.#begun.has(node.index)) this.repeated++;
    this.#begun.add(node.index);
    this.startViolations += node.needs.filter((need) => !this.#started.has(need)).length;
    this.#starting.add(node.index);
    try {
      await this.#pause(node.startMs, signal);
    } finally {
      this.#starting.delete(node.index);
    }
    if (node.fails) throw new Error(`${node.name} fails`);
    this.#started.add(node.index);
    return { node };
  }

  async stop(node: LifeNode): Promise<void> {
    if (!this.#started.has(node.index)) this.neverStarted++;
    if (this.#stopped.has(node.index)) this.repeated++;
    const above = this.#dependants[node.index] ?? [];
    this.stopViolations += above.filter((index) => this.#started.has(index) && !this.#stopped.has(index)).length;
    await this.#pause(node.stopMs);
    this.#stopped.add(node.index);
  }

  /** The nodes, for those who want to look at all. */
  get graph(): LifeGraph {
    return this.#graph;
  }
}

/** One run of a graph: up, then down. A failed start rejects; `stop` may be called after it all the same. */
export interface Life {
  start(): Promise<unknown>;
  stop(): Promise<unknown>;
}

/** One container that runs a graph. */
export interface LifeContender {
  readonly name: string;
  make(recorder: Recorder): Life;
}

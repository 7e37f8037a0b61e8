import { StewardError } from "@steward/core";
import type { Graph } from "../graph/graph.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";

/** What a restart takes for itself: lazy starts of these nodes wait until it is released. */
export class RestartClaim {
  /** The nodes that are restarted, and all that may come to hold their values. */
  readonly reach: ReadonlySet<number>;
  readonly #graph: Graph;
  readonly #over: Promise<void>;
  #release: () => void = () => {};
  /** True once what is replaced is known: what starts from then on would be missing there. */
  #isSettled = false;
  #stopping: ReadonlySet<number> = NOTHING;

  constructor(graph: Graph, reach: ReadonlySet<number>) {
    this.reach = reach;
    this.#graph = graph;
    this.#over = new Promise((resolve) => (this.#release = resolve));
  }

  /**
   * What a lazy start of a node has to wait for, if anything. Until the claim is settled, the restart waits for those
   * that it concerns, so what they ask for starts at once.
   *
   * @throws {RESOURCE_UNAVAILABLE} when the restart waits for the asker to stop: neither would end.
   */
  on(index: number, asker: number): Promise<void> | undefined {
    if (!this.reach.has(index)) return undefined;
    if (this.#stopping.has(asker)) throw this.#refusal(index, asker);
    return this.#isSettled || !this.reach.has(asker) ? this.#over : undefined;
  }

  #refusal(index: number, asker: number): Error {
    const { nodes } = this.#graph;
    const [name = "", by = ""] = [nodes[index]?.name, nodes[asker]?.name];
    const message = `"${name}" cannot start for "${by}", which is being stopped: what both need is being restarted`;
    return new StewardError("RESOURCE_UNAVAILABLE", message, { resource: name, retryable: true });
  }

  /** What is replaced is known. */
  settle(): void {
    this.#isSettled = true;
  }

  /** These stop now, before anything new starts; none once that is over. */
  stopping(nodes: readonly LiveNode[]): void {
    this.#stopping = new Set(nodes.map((node) => node.graph.index));
  }

  release(): void {
    this.#release();
  }
}

const NOTHING: ReadonlySet<number> = new Set();

import { StewardError, type Binding, type Clock } from "@steward/core";
import { LazyAbort } from "@steward/core/container";
import { NodeStarts, type StartHost } from "./node-starts.ts";
import { forCaller, untilAborted } from "../lifecycle/caller.ts";
import { containerError } from "../errors.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import { makeInstance, type Instance } from "../lifecycle/detached-instance.ts";
import { StartAttempt } from "./start-attempt.ts";
import { NOTHING_YET, startError } from "./start-error.ts";
import { holderOf, OUTSIDE, type ContainerState, type Generation, type NodeSource } from "../lifecycle/state.ts";

/** What late starts need of the container. */
export interface LateStartHost extends StartHost {
  readonly clock: Clock;
  readonly state: ContainerState;
  /** What a start of a node has to wait for, if anything: something that it needs is being restarted. */
  claimOn(index: number, asker: number): Promise<void> | undefined;
}

/** What starts in a container after its own start: lazy needs, and instances outside the graph. */
export class LateStarts {
  /** Starts of nodes that no restart replaces. */
  readonly nodes: NodeStarts;
  readonly #host: LateStartHost;
  readonly #abort = new LazyAbort();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(host: LateStartHost) {
    this.#host = host;
    this.nodes = new NodeStarts(host, {
      isRestart: false,
      live: (index) => host.state.live(index),
      elsewhere: () => undefined,
      lazily: (index, asker) => this.lazily(index, asker),
    });
  }

  /** Starts what a lazy edge points to, once however many ask, and gives its value. A caller that has gone waits no longer. */
  async lazily(index: number, asker: number = OUTSIDE): Promise<unknown> {
    const { state, graph, clock } = this.#host;
    const live = state.live(index);
    if (live !== undefined) return live.value;
    const name = graph.nodes[index]?.name ?? "";
    const started = this.#track(this.#start(name, index, asker));
    return forCaller(clock, `the start of "${name}"`, {}, (signal) => untilAborted(started, signal));
  }

  async #start(name: string, index: number, asker: number): Promise<unknown> {
    const { state, clock, limits } = this.#host;
    for (let claim = this.#host.claimOn(index, asker); claim !== undefined; claim = this.#host.claimOn(index, asker))
      await claim;
    const live = state.live(index);
    if (live !== undefined) return live.value;
    if (this.#abort.aborted)
      throw containerError("CONTAINER_CLOSED", `"${name}" cannot start any more: the container stops`, {
        resource: name,
      });
    const attempt = new StartAttempt();
    const { signal } = this.#abort;
    if (!(await attempt.run(this.nodes, clock, { indices: [index] }, limits.startTimeoutMs, signal))) {
      const released = this.#track(attempt.release());
      throw startError(attempt, this.nodes.isStarting(asker) ? NOTHING_YET : await released); // else its release waits for the asker
    }
    state.publish(attempt.handOver(this.nodes));
    return state.live(index)?.value;
  }

  /**
   * Starts an instance outside the graph from what a generation holds, and from the value of an input that is its own.
   *
   * @throws {RESOURCE_UNAVAILABLE} when a restart has stopped what it needs, because the scope outlasted its time.
   */
  instance(definition: AnyDefinition, generation: Generation, own?: Binding): Promise<Instance> {
    const { graph, clock, state, defaults, onBackgroundEnd } = this.#host;
    const { signal } = this.#abort;
    const from: NodeSource = {
      live: (index) => {
        const node = generation.live[index];
        if (node?.isGone === true) throw goneWithTime(definition.name, node.name);
        return node;
      },
      holder: (index) => holderOf(graph, (i) => state.live(i), index),
      lazily: (index) => this.lazily(index),
    };
    return this.#track(makeInstance({ graph, clock, from, signal, defaults, onBackgroundEnd }, definition, own));
  }

  /** Starts nothing any more, and aborts what is in progress. */
  close(reason: () => unknown): void {
    this.#abort.abort(reason);
  }

  /** Resolves once nothing is in progress. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = work.catch(() => {}).then(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    return work;
  }
}

function goneWithTime(name: string, need: string): Error {
  const message = `"${name}" cannot start: "${need}", which it needs, has been stopped, and the scope that asks for it outlasted its time`;
  return new StewardError("RESOURCE_UNAVAILABLE", message, { resource: name, retryable: true });
}

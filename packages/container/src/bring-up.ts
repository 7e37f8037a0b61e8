import {
  describeError,
  isStewardError,
  OptionsError,
  sharedAbortController,
  TimeoutReached,
  within,
  type Managed,
} from "@steward/core";
import { needsOf, type Assembly, type Generation } from "./assembly.ts";
import { StartError, type NodeFailure } from "./errors.ts";
import type { Edge, GraphNode } from "./graph.ts";
import { isEnabled, LiveNode, makeManager } from "./node.ts";
import { startWithRetry } from "./start-retry.ts";

/** Starts nodes of a generation along the graph: each as soon as what it needs is ready, and each once. */
export class BringUp {
  readonly failures: NodeFailure[] = [];
  /** Nodes that are up, in the order in which they became so. */
  readonly started: LiveNode[] = [];
  /** Nodes that ignored their abort and were left behind while still starting. */
  readonly stillStarting: string[] = [];
  readonly #assembly: Assembly;
  readonly #into: Generation;
  readonly #abort = sharedAbortController();
  readonly #begun: Map<number, Promise<void>>;
  /** Nodes that were begun here: one that failed is not tried again by the next who needs it. */
  readonly #tried = new Set<number>();
  readonly #inFlight = new Map<number, LiveNode>();
  readonly #onDown: (node: LiveNode) => void;

  /** @param onDown Called for an optional resource that did not start, so that it is tried again. */
  constructor(assembly: Assembly, into: Generation, onDown: (node: LiveNode) => void) {
    this.#assembly = assembly;
    this.#into = into;
    this.#begun = into.begun;
    this.#onDown = onDown;
  }

  /** Nodes that are starting, or wait to be tried again. */
  get inFlight(): readonly LiveNode[] {
    return [...this.#inFlight.values()];
  }

  /** Starts what is asked for and all it needs, within `timeoutMs`. It never rejects: look at `failures`. */
  async run(indices: readonly number[], edges: readonly Edge[], timeoutMs: number, outer?: AbortSignal): Promise<void> {
    const all = async (): Promise<void> => {
      await Promise.all([...indices.map((index) => this.#begin(index)), ...edges.map((edge) => this.#follow(edge))]);
    };
    const abort = this.#abort;
    let settled: Promise<void> | undefined;
    await within(this.#assembly.clock, timeoutMs, () => (settled = all()), { abort, outer }).catch((error: unknown) =>
      this.#giveUp(error, timeoutMs),
    );
    await settled;
  }

  #giveUp(error: unknown, timeoutMs: number): void {
    if (this.failures.length > 0) return;
    const hanging = [...this.#inFlight.values()];
    const cause =
      error instanceof TimeoutReached
        ? new Error(
            `the container did not start within ${timeoutMs} ms; waiting for: ${hanging.map(waitingFor).join(", ")}`,
          )
        : error;
    this.failures.push({
      resource: hanging[0]?.name ?? "container",
      phase: "start",
      durationMs: this.#elapsed(hanging[0]),
      cause,
    });
  }

  #elapsed(node: LiveNode | undefined): number {
    return node === undefined ? 0 : this.#assembly.clock.now() - node.since;
  }

  #begin(index: number): Promise<void> {
    let begun = this.#begun.get(index);
    if (begun === undefined) {
      begun = this.#start(index).finally(() => this.#begun.delete(index));
      this.#begun.set(index, begun);
    }
    return begun;
  }

  async #follow(edge: Edge): Promise<void> {
    if (edge.kind === "lazy") return;
    if (edge.kind !== "when") return this.#begin(edge.to);
    await this.#begin(edge.condition);
    if (this.#abort.signal.aborted) return;
    await this.#follow(edge.test(this.#into.values[edge.condition]) ? edge.whenTrue : edge.whenFalse);
  }

  /** Whether something else, which started at the same time, failed to start what this edge needs. */
  #isMissing(edge: Edge): boolean {
    if (edge.kind === "lazy") return false;
    if (edge.kind === "when")
      return this.#isMissing(edge.test(this.#into.values[edge.condition]) ? edge.whenTrue : edge.whenFalse);
    return this.#into.live[edge.to] === undefined;
  }

  async #start(index: number): Promise<void> {
    const node = this.#assembly.graph.nodes[index];
    if (node === undefined || this.#into.live[index] !== undefined || this.#tried.has(index)) return;
    this.#tried.add(index);
    if (node.edges.length > 0) await Promise.all(node.edges.map((edge) => this.#follow(edge)));
    if (this.#abort.signal.aborted || node.edges.some((edge) => this.#isMissing(edge))) return;
    const since = this.#assembly.clock.now();
    const made = this.#make(node, since);
    if (made === undefined) return;
    const { live, derived } = made;
    if (derived) await new Promise((resolve) => setImmediate(resolve)); // all options that can be checked now are, before anything connects
    if (this.#abort.signal.aborted) return;
    if (live.manager !== undefined && !(await this.#startManager(live, live.manager))) return;
    this.#arrived(live);
  }

  #make(node: GraphNode, since: number): { readonly live: LiveNode; readonly derived: boolean } | undefined {
    if (node.constant !== undefined || node.spec.enabled === false)
      return { live: new LiveNode(node, undefined, node.constant === undefined, since), derived: false };
    try {
      const needs = needsOf(this.#assembly, this.#into, node);
      if (!isEnabled(node.spec, needs)) return { live: new LiveNode(node, undefined, true, since), derived: false };
      const prepared = node.spec.managed?.prepare(needs);
      const { clock, onBackgroundEnd } = this.#assembly;
      const manager = makeManager(node.spec, needs, prepared, { clock, name: node.name, onBackgroundEnd });
      return {
        live: new LiveNode(node, manager, false, since),
        derived: node.spec.managed !== undefined && node.edges.length > 0,
      };
    } catch (error) {
      this.#fail({
        resource: node.name,
        phase: error instanceof OptionsError ? "options" : "start",
        durationMs: this.#assembly.clock.now() - since,
        cause: error,
      });
      return undefined;
    }
  }

  async #startManager(live: LiveNode, manager: Managed): Promise<boolean> {
    this.#inFlight.set(live.graph.index, live);
    const { attempts, failure } = await startWithRetry(live, manager, this.#assembly.clock, this.#abort.signal);
    this.#inFlight.delete(live.graph.index);
    return failure === undefined || this.#notStarted(live, failure.error, attempts);
  }

  #notStarted(live: LiveNode, error: unknown, attempts: number): boolean {
    if (this.#abort.signal.aborted) {
      if (live.manager?.leftBehind === true) this.stillStarting.push(live.name);
      return false;
    }
    if (live.graph.spec.settings.criticality === "optional") {
      this.#onDown(live);
      return true;
    }
    this.#fail({
      resource: live.name,
      phase: "start",
      durationMs: this.#elapsed(live),
      attempts: attempts === 1 ? undefined : attempts,
      cause: error,
    });
    return false;
  }

  #arrived(live: LiveNode): void {
    live.startedInMs = this.#assembly.clock.now() - live.since;
    this.#into.live[live.graph.index] = live;
    this.#into.values[live.graph.index] = live.valueIfUp;
    this.started.push(live);
  }

  /** The first failure ends all others; options that are wrong too are still collected. */
  #fail(failure: NodeFailure): void {
    this.failures.push(failure);
    if (failure.phase !== "options") this.#abort.abort(failure.cause);
    else setImmediate(() => this.#abort.abort(failure.cause));
  }
}

/** A node that did not get ready in time, with why its last attempt failed. */
function waitingFor({ name, manager }: LiveNode): string {
  return manager?.failure === undefined ? name : `${name} (last error: ${describeError(manager.failure)})`;
}

/** What a failed start says to whoever reads it at night. */
function startMessage(
  failures: readonly NodeFailure[],
  rolledBack: readonly string[],
  stillStarting: readonly string[],
): string {
  const [first, ...others] = failures;
  const lines = [
    `"${first?.resource}" failed in ${first?.phase} after ${Math.round(first?.durationMs ?? 0)} ms: ${describeError(first?.cause)}${tries(first)}`,
  ];
  if (others.length > 0)
    lines.push(`failed as well: ${others.map((f) => `"${f.resource}" (${describeError(f.cause)})`).join(", ")}`);
  lines.push(rolledBack.length === 0 ? "nothing else had started" : `stopped again: ${rolledBack.join(", ")}`);
  if (stillStarting.length > 0)
    lines.push(`ignored its abort and is still starting, will be stopped when it arrives: ${stillStarting.join(", ")}`);
  return lines.join("\n  ");
}

function tries(failure: NodeFailure | undefined): string {
  return failure?.attempts === undefined ? "" : ` (tried ${failure.attempts} times)`;
}

/** The one error of a failed start. Wrong options alone are told as such: all problems of all resources. */
export function startError(up: BringUp, order: readonly string[], rollbackFailures: readonly NodeFailure[]): Error {
  const { failures, stillStarting } = up;
  const problems = failures.flatMap((failure) => (failure.cause instanceof OptionsError ? failure.cause.problems : []));
  if (problems.length > 0 && failures.every((failure) => isStewardError(failure.cause, "OPTIONS_INVALID")))
    return new OptionsError(problems);
  return new StartError(startMessage(failures, order, stillStarting), {
    failures,
    rolledBack: order,
    stillStarting,
    rollbackFailures,
  });
}

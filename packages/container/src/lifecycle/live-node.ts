import type { HealthStatus } from "@steward/core";
import type { ManagedResource, Spec } from "@steward/core/container";
import { mayBeDown, type GraphNode } from "../graph/graph.ts";
import { PlainManager, type PlainContext } from "./plain-manager.ts";
import { ProcessShare } from "./process-share.ts";

type Values = Readonly<Record<string, unknown>>;

/** One instance of an application resource: what it was made from, its manager and its value. */
export class LiveNode {
  readonly graph: GraphNode;
  readonly manager: ManagedResource | undefined;
  /** True when configuration disabled it. */
  readonly disabled: boolean;
  /** When its start began, and how long it took, in ms of the clock. */
  readonly since: number;
  startedInMs: number | undefined;
  /** What it is by itself, as far as its health is watched. */
  ownStatus: HealthStatus = "unknown";
  /** The instances that it was handed and keeps: `current` and `lazy` needs are none. */
  readonly holds: readonly LiveNode[];

  constructor(
    graph: GraphNode,
    manager: ManagedResource | undefined,
    { disabled, since, holds }: Pick<LiveNode, "disabled" | "since" | "holds">,
  ) {
    this.holds = holds;
    this.graph = graph;
    this.manager = manager;
    this.disabled = disabled;
    this.since = since;
  }

  get name(): string {
    return this.graph.name;
  }

  /** What askers are handed; `undefined` when disabled, and while what may be down is down. */
  get value(): unknown {
    if (this.graph.constant !== undefined) return this.graph.constant.value;
    if (mayBeDown(this.graph.spec) && this.absent) return undefined;
    return this.manager?.client;
  }

  /** The value, or `undefined` while a plain optional resource is down. */
  get valueIfUp(): unknown {
    return this.absent ? undefined : this.value;
  }

  /** Whether it is up and not known to be unhealthy. */
  get isUsable(): boolean {
    if (this.manager === undefined) return !this.disabled;
    const { phase } = this.manager;
    return (phase === "ready" || phase === "draining") && this.ownStatus !== "unhealthy";
  }

  /** True once it stops or has stopped: nothing can be made from it any more. */
  get isGone(): boolean {
    return this.manager?.phase === "stopping" || this.manager?.phase === "stopped";
  }

  /** True for a plain resource that is down, and so has no object. */
  get absent(): boolean {
    const manager = this.manager instanceof ProcessShare ? this.manager.inner : this.manager;
    return manager instanceof PlainManager && manager.phase !== "ready" && manager.phase !== "draining";
  }
}

/** Whether configuration wants a resource at all. */
export function isEnabled(spec: Spec, needs: Values): boolean {
  return typeof spec.enabled === "function" ? spec.enabled(needs) : spec.enabled !== false;
}

/** How a resource that the containers of a process share is found. */
export interface ShareOptions {
  /** What its needs and inputs resolve to: containers share an instance where this is the same. */
  readonly key: () => readonly unknown[];
  /** True where an instance of its own takes the place of the shared one, as in a restart. */
  readonly anew: boolean;
}

/** Makes the manager of a resource. No I/O. Without `share` it is an instance that nothing else has. */
export function makeManager(
  spec: Spec,
  needs: Values,
  prepared: unknown,
  context: PlainContext,
  share?: ShareOptions,
): ManagedResource {
  const make = (): ManagedResource =>
    spec.managed === undefined ? new PlainManager(spec, needs, context) : spec.managed.create(prepared, context);
  return spec.lifetime === "process" && share !== undefined
    ? new ProcessShare(spec, share.key(), make, share.anew)
    : make();
}

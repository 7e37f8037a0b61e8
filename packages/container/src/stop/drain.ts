import type { Clock } from "@steward/core";
import { containerError, type NodeFailure } from "../errors.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import type { OpenScopes } from "../scope/open-scopes.ts";
import type { Bounds } from "../scope/bounds.ts";
import { indicesOf, type ContainerState } from "../lifecycle/state.ts";
import type { Limits, StopBudget } from "./stop-budget.ts";
import { inOrder } from "./stop.ts";

/** What a drain needs of the container. */
export interface DrainHost {
  readonly clock: Clock;
  readonly limits: Limits;
  /** Names of what is still starting. */
  readonly stillStarting: readonly string[];
  readonly state: ContainerState;
  readonly dependants: readonly (readonly number[])[];
  readonly scopes: OpenScopes;
  /** Bounds what scopes wait for. */
  readonly bounds: Bounds;
  /** Restarts, retries and probes end; work that was accepted goes on. Resolves once none is in progress. */
  endChanges(): Promise<unknown>;
  /** No scope opens any more. */
  refuseScopes(): void;
  /** Nothing starts lazily any more. Resolves once no start is in progress. */
  refuseWork(): Promise<unknown>;
}

const STILL_STARTING = "it ignored its abort and is still starting; it is stopped when it arrives";
/** How long scopes that were aborted may take to end, in ms. */
const ABORTED_SCOPE_GRACE_MS = 1_000;
/** Longest wait for what takes no time, in ms: something else may hold it up. */
const AT_ONCE_MS = 1;
/** Which part of the time that is left they may take, and again the release of what they hold. */
const SCOPE_SHARE = 1 / 4;
/** Which part of it starts and restarts may take to end once they are aborted. */
const CHANGES_SHARE = 1 / 3;

/**
 * Takes no new work and settles what runs: first what no scope uses (servers, consumers), then open scopes, then the
 * rest. Gives what failed.
 */
export async function drain(host: DrainHost, budget: StopBudget): Promise<readonly NodeFailure[]> {
  const failures: NodeFailure[] = [];
  const since = host.clock.now();
  const used = usedByScopes(host.state);
  const changes = host.endChanges();
  const roots = host.state.nodes.filter((node) => !used.has(node.graph.index));
  await drainNodes(host, roots, budget.drained, failures);
  await drainScopes(host, budget, failures);
  const starts = host.refuseWork();
  await budget.share(CHANGES_SHARE, Promise.all([changes, starts]), host.limits.stopTimeoutMs);
  for (const resource of host.stillStarting)
    failures.push({ resource, phase: "start", durationMs: host.clock.now() - since, cause: new Error(STILL_STARTING) });
  await drainNodes(host, host.state.toStop, budget.drained, failures);
  return failures;
}

function usedByScopes({ graph }: ContainerState): Set<number> {
  const used = new Set(graph.usedByScopes);
  for (const index of used)
    for (const edge of graph.nodes[index]?.edges ?? []) for (const to of indicesOf(edge)) used.add(to); // a loop over a set reaches what is added meanwhile
  return used;
}

async function drainNodes(
  { clock, dependants }: DrainHost,
  nodes: readonly LiveNode[],
  signal: AbortSignal,
  failures: NodeFailure[],
): Promise<void> {
  const ready = nodes.filter((node) => node.manager?.phase === "ready"); // others have been drained already, or are down
  if (ready.length === 0) return;
  await inOrder(
    ready,
    (index) => dependants[index] ?? [],
    ({ name, manager }) => {
      const since = clock.now();
      return manager?.drain({ signal }).catch((cause: unknown) => {
        failures.push({ resource: name, phase: "drain", durationMs: clock.now() - since, cause });
      });
    },
  );
}

/** Waits for open scopes. Those that do not end in time are aborted, and what they hold is released all the same. */
async function drainScopes(host: DrainHost, budget: StopBudget, failures: NodeFailure[]): Promise<void> {
  const { clock, scopes, bounds } = host;
  const since = clock.now();
  const wereEnded = await scopes.ended(budget.drained);
  host.refuseScopes();
  if (wereEnded && (await scopes.ended(budget.drained))) return; // one more may have opened before that
  const left = scopes.size;
  const error = containerError("CONTAINER_CLOSED", "the container stops");
  for (const scope of scopes) scope.abort(error);
  await budget.share(SCOPE_SHARE, scopes.ended(), ABORTED_SCOPE_GRACE_MS);
  const cause = new Error(`${left} scopes were still open and were aborted; ${scopes.size} of them did not end`);
  failures.push({ resource: "scopes", phase: "drain", durationMs: clock.now() - since, cause });
  const closing = [...scopes].map((scope) => scope.close({ error }).catch(() => {})); // it was aborted with that error
  await budget.share(SCOPE_SHARE, Promise.all(closing), ABORTED_SCOPE_GRACE_MS);
  bounds.hurry(error);
  await budget.share(SCOPE_SHARE, Promise.all(closing), AT_ONCE_MS);
}

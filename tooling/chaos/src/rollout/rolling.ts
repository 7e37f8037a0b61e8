import { setTimeout as sleep } from "node:timers/promises";
import { Jitter, total } from "../rate.ts";
import { Calls, type CallResult } from "./calls.ts";
import { Cluster, type ClusterPlan, type Pair } from "./cluster.ts";
import { Load, type LoadResult } from "./load.ts";
import type { App, Setting } from "./replica.ts";
import { Watchers, type WatchResult } from "./watchers.ts";

/** The default delays of `runMain` for a process that has served requests. */
const DELAY_MS: Readonly<Record<Setting, number>> = { kubernetes: 5_000, elsewhere: 3_000 };
/** Over what time a hub closes its sockets by default, so that clients do not come back together. */
const SPREAD_MS = 2_000;
const GRACE_MS = 200;
/** Reasons of losses in one line. */
const MOST_REASONS = 5;
/** How long all replicas are there between two restarts. */
const BETWEEN_MS = 5_000;

/** One rolling restart of all replicas and renderers. */
export interface Rolled {
  readonly requests: LoadResult;
  readonly jobs: WatchResult;
  readonly calls: CallResult;
  /** From SIGTERM to the end of the process, of each replica, in ms. */
  readonly exitsMs: readonly number[];
  /** The longest that an exit may take: the delay, then whatever drains longest (a request, the spread of a hub), 200 ms, and the jitter of the machine. */
  readonly allowedMs: number;
  readonly codes: readonly (number | null)[];
}

/** The rolling restarts, one after the other, and through what requests went. */
export interface Rollout {
  readonly balancer: string;
  readonly runs: readonly Rolled[];
  /** The same with SIGKILL, which has to lose requests: else the load would not notice a loss. */
  readonly control: Rolled;
  /** From the second signal to the end of the process, in ms. */
  readonly secondSignalMs: readonly number[];
  /** Of the machine meanwhile. */
  readonly jitterMs: number;
}

/** How many of all kinds a rolling restart lost. */
export function lostIn({ requests, jobs, calls }: Rolled): number {
  return [requests, jobs, calls].reduce((sum, { lost }) => sum + total(lost), 0);
}

/** Restarts three replicas of Clips and three renderers one by one under load, as often as asked. */
export async function rollOut(plan: ClusterPlan, runs: number, say: (what: string) => void): Promise<Rollout> {
  await using cluster = await Cluster.start(plan);
  const rolled: Rolled[] = [];
  for (let run = 0; run < runs; run++) {
    const one = await roll(cluster, plan, "SIGTERM");
    rolled.push(one);
    const { requests, jobs, calls } = one;
    say(
      `rolling restart ${run + 1} of ${runs}: ${lostIn(one)} lost of ${requests.sent} requests, ${jobs.jobs} jobs, ${calls.calls} calls` +
        [...requests.lost, ...jobs.lost, ...calls.lost]
          .slice(0, MOST_REASONS)
          .map(([why, count]) => `; ${count} ${why}`)
          .join(""),
    );
  }
  const control = await roll(cluster, plan, "SIGKILL");
  using jitter = new Jitter(100);
  const secondSignalMs = await endImpatiently(cluster);
  const where = `${cluster.balancer.name}, ${plan.setting === "kubernetes" ? "in" : "outside"} Kubernetes`;
  return { balancer: where, runs: rolled, control, secondSignalMs, jitterMs: jitter.ms };
}

/** Two upgrades under load: from another version to this one, and back again. */
export async function upgrade(from: App, plan: ClusterPlan): Promise<readonly [Rolled, Rolled]> {
  await using cluster = await Cluster.start(plan, from);
  const there = await roll(cluster, plan, "SIGTERM");
  return [there, await roll(cluster, { ...plan, app: from }, "SIGTERM")];
}

type Version = Pick<ClusterPlan, "app" | "setting" | "share">;

/** Ends one after the other, and starts them again as `app`. */
async function roll(cluster: Cluster, { app, setting, share }: Version, signal: NodeJS.Signals): Promise<Rolled> {
  const { balancer, slowPath } = cluster;
  using jitter = new Jitter(1_000);
  const watchers = await Watchers.start(balancer, share);
  const calls = await Calls.start(balancer, share);
  const load = new Load(balancer, slowPath, share);
  await sleep(1_000);
  const [exitsMs, codes] = [[] as number[], [] as (number | null)[]];
  for (const [index, pair] of cluster.pairs.entries()) {
    const [exitMs] = await Promise.all([pair.clips.endAfter(signal), pair.renderer.endAfter(signal)]);
    exitsMs.push(exitMs);
    for (const program of programsOf(pair)) codes.push((await program.ended).code);
    await cluster.again(app, index);
    await sleep(BETWEEN_MS);
  }
  const [requests, called, jobs] = await Promise.all([load.end(), calls.end(), watchers.end()]);
  const allowedMs = DELAY_MS[setting] + Math.max(requests.longestMs, SPREAD_MS) + GRACE_MS + jitter.ms;
  return { requests, jobs, calls: called, exitsMs, codes, allowedMs };
}

function programsOf({ clips, renderer }: Pair): readonly Pair["clips"][] {
  return [clips, renderer];
}

/** Ends one after the other by two signals, the second while the first is still waited for. */
async function endImpatiently({ pairs }: Cluster): Promise<number[]> {
  const endedMs: number[] = [];
  for (const { clips } of pairs) {
    clips.kill("SIGTERM");
    await sleep(1_000);
    endedMs.push(await clips.endAfter("SIGTERM"));
  }
  return endedMs;
}

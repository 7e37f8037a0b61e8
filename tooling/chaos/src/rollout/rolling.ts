import { setTimeout as sleep } from "node:timers/promises";
import { Jitter, total } from "../rate.ts";
import { Calls, type CallResult } from "./calls.ts";
import { Cluster, type Pair } from "./cluster.ts";
import { Load, type LoadResult } from "./load.ts";
import { Watchers, type WatchResult } from "./watchers.ts";

/** The default delay of `runMain` where Kubernetes is detected. */
const DELAY_MS = 5_000;
/** Over what time a hub closes its sockets by default, so that clients do not come back together. */
const SPREAD_MS = 2_000;
const GRACE_MS = 200;

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
export async function rollOut(app: string, runs: number, say: (what: string) => void): Promise<Rollout> {
  await using cluster = await Cluster.start(app);
  const rolled: Rolled[] = [];
  for (let run = 0; run < runs; run++) {
    const one = await roll(cluster, "SIGTERM");
    rolled.push(one);
    const { requests, jobs, calls } = one;
    say(
      `rolling restart ${run + 1} of ${runs}: ${lostIn(one)} lost of ${requests.sent} requests, ${jobs.jobs} jobs, ${calls.calls} calls`,
    );
  }
  const control = await roll(cluster, "SIGKILL");
  using jitter = new Jitter(100);
  const secondSignalMs = await endImpatiently(cluster);
  return { balancer: cluster.balancer.name, runs: rolled, control, secondSignalMs, jitterMs: jitter.ms };
}

async function roll(cluster: Cluster, signal: NodeJS.Signals): Promise<Rolled> {
  const { balancer, slowPath } = cluster;
  using jitter = new Jitter(1_000);
  const watchers = await Watchers.start(balancer);
  const calls = await Calls.start(balancer);
  const load = new Load(balancer, slowPath);
  await sleep(1_000);
  const [exitsMs, codes] = [[] as number[], [] as (number | null)[]];
  for (const [index, pair] of cluster.pairs.entries()) {
    balancer.ending(index);
    const [exitMs] = await Promise.all([pair.clips.endAfter(signal), pair.renderer.endAfter(signal)]);
    exitsMs.push(exitMs);
    for (const program of programsOf(pair)) codes.push((await program.ended).code);
    await cluster.again(index);
    await sleep(500);
  }
  const [requests, called, jobs] = await Promise.all([load.end(), calls.end(), watchers.end()]);
  const allowedMs = DELAY_MS + Math.max(requests.longestMs, SPREAD_MS) + GRACE_MS + jitter.ms;
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

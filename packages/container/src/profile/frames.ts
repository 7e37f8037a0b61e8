import type { CpuProfile } from "./session.ts";

/** A function, and the time that was spent in itself, without what it called. */
export interface Frame {
  /** Its name; `(anonymous)` where it has none. */
  readonly function: string;
  /** Its file, and the line from 1 on; empty and 0 for what is not JavaScript. */
  readonly url: string;
  readonly line: number;
  readonly selfMs: number;
  /** Of all time in which the process did something, 0 to 1. */
  readonly selfShare: number;
}

/** What a profile shows. */
export interface Spent {
  /** Time in which the process did something. */
  readonly busyMs: number;
  /** Of that, collecting garbage. */
  readonly gcMs: number;
  /** The functions with the most time of their own, the most first. */
  readonly frames: readonly Frame[];
}

/** What is no work: waiting, and what V8 cannot say. */
const IDLE = new Set(["(idle)", "(root)"]);
const GC = "(garbage collector)";

/** The functions with the most time of their own between two moments of a profile, in ms since it began. */
export function spentIn(profile: CpuProfile, top: number, fromMs = 0, toMs: number = Number.POSITIVE_INFINITY): Spent {
  const self = selfTimes(profile, fromMs, toMs);
  const byPlace = new Map<string, { function: string; url: string; line: number; selfMs: number }>();
  let [busyMs, gcMs] = [0, 0];
  for (const { id, callFrame } of profile.nodes) {
    const selfMs = self.get(id) ?? 0;
    const { functionName, url, lineNumber } = callFrame;
    if (selfMs === 0 || IDLE.has(functionName)) continue;
    busyMs += selfMs;
    if (functionName === GC) gcMs += selfMs;
    const key = `${functionName}\n${url}\n${lineNumber}`;
    const place = byPlace.get(key);
    const name = functionName === "" ? "(anonymous)" : functionName;
    if (place === undefined) byPlace.set(key, { function: name, url, line: lineNumber + 1, selfMs });
    else place.selfMs += selfMs;
  }
  const frames = [...byPlace.values()].sort((a, b) => b.selfMs - a.selfMs).slice(0, top);
  return { busyMs, gcMs, frames: frames.map((frame) => ({ ...frame, selfShare: frame.selfMs / busyMs })) };
}

/** Time of each node, in ms. A sample stands until the next one. */
function selfTimes(profile: CpuProfile, fromMs: number, toMs: number): Map<number, number> {
  const { samples = [], timeDeltas = [], startTime, endTime } = profile;
  const times = new Map<number, number>();
  let at = 0;
  for (const [i, id] of samples.entries()) {
    at += (timeDeltas[i] ?? 0) / 1_000;
    const until = i + 1 < samples.length ? at + (timeDeltas[i + 1] ?? 0) / 1_000 : (endTime - startTime) / 1_000;
    const ms = Math.min(until, toMs) - Math.max(at, fromMs);
    if (ms > 0) times.set(id, (times.get(id) ?? 0) + ms);
  }
  return times;
}

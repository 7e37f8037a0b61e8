// One process of several that share a budget: name of the contender, URL of Redis, ms. Prints when it was allowed
// something, in ms since 1970. All do the same by the clock, every 3 s: a single call, and 0.9 s later as many as they can,
// for 0.4 s: so that a window that begins with the first call ends in the middle of the many.
import { setImmediate, setTimeout } from "node:timers/promises";
import { CONTENDERS } from "./contenders.ts";

const ROUND_MS = 3_000;
const BURST_MS = [900, 1_300] as const;

const [name = "", url = "", ms = "0"] = process.argv.slice(2);
const open = CONTENDERS[name];
if (open === undefined) throw new Error(`there is no contender ${name}`);
const allowed: number[] = [];
/** Whether it is the moment to ask: once at the begin of a round, and then in its burst. */
let asked = 0;
function isTime(): boolean {
  const [round, at] = [Math.floor(Date.now() / ROUND_MS), Date.now() % ROUND_MS];
  if (at >= BURST_MS[0] && at < BURST_MS[1]) return true;
  if (at >= BURST_MS[0] || asked === round) return false;
  asked = round;
  return true;
}
{
  await using contender = await open(url);
  const end = performance.now() + Number(ms);
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      if (!isTime()) {
        await setTimeout(5);
        continue;
      }
      if (await contender.take()) allowed.push(performance.timeOrigin + performance.now());
      await setImmediate();
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}
console.log(JSON.stringify(allowed));

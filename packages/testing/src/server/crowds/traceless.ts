import { until } from "../../waits.ts";
import { ask } from "../client.ts";
import { descriptors, type Counts, type Up, type World } from "../world.ts";

/** Runs an attack, waits until nothing is left of it, and says how long that took. */
export async function traceless(
  world: World,
  up: Up,
  counts: Counts,
  what: string,
  attack: () => Promise<void>,
): Promise<void> {
  await ask(up.port, "/livez");
  await up.idle();
  const before = descriptors();
  await attack();
  const since = performance.now();
  await up.idle();
  await until(() => descriptors() <= before, `no more than ${before} descriptors are open`, 5_000);
  const { openRequests, releasing } = up.stats();
  const left = `${openRequests + releasing} scopes, ${counts.taken - counts.given} leases, ${Math.max(0, descriptors() - before)} descriptors`;
  world.comment(`${what} left ${left} after ${Math.round(performance.now() - since)} ms`);
  world.assert.strictEqual(counts.taken, counts.given);
}

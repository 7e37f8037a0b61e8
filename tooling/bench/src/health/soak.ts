// A process of its own: lives an hour of virtual time with each seed of a range, and prints what a container's health did.
import { container } from "@steward/container";
import { CHANNELS, Guard, resource, type HealthStatus } from "@steward/core";
import { FakeClock } from "@steward/testing";
import { subscribe } from "node:diagnostics_channel";
import { randomFrom } from "@steward/harness";

const HOUR_MS = 3_600_000;
const STALL_MS = 600;

/** What happened in all hours of a range of seeds. */
export interface Soaked {
  readonly seeds: number;
  /** Times that a resource that was well had another status than healthy. */
  readonly falseFlips: number;
  readonly probes: number;
  readonly failedProbes: number;
  readonly stalls: number;
  /** Times that a breaker of a resource that was well opened. */
  readonly opened: number;
  /** Resources that really went down in the last ten minutes, and how many of them were found. */
  readonly outages: number;
  readonly found: number;
}

/** A clock whose timers all come late after a stall, as a blocked event loop makes them. */
class StallingClock extends FakeClock {
  #late = 0;
  override now(): number {
    return super.now() + this.#late;
  }
  stall(): void {
    this.#late += STALL_MS;
  }
}

const total = { seeds: 0, falseFlips: 0, probes: 0, failedProbes: 0, stalls: 0, opened: 0, outages: 0, found: 0 };

/** An hour of one resource: 1 % of probes fail at random, 5 % more because the loop stalls meanwhile; and stalls in between. */
async function hour(seed: number): Promise<void> {
  const clock = new StallingClock();
  const random = randomFrom(seed + 1);
  // The monitor's jitter comes from here too, so that a seed always gives the same run.
  Math.random = random;
  const guard = new Guard({ resource: "api", clock, timeoutMs: 1_000, breaker: {} });
  let isDown = false;
  const stall = (): void => (clock.stall(), void total.stalls++);
  const probe = async (): Promise<void> => {
    look();
    await clock.sleep(5);
    if (isDown || random() < 0.01) throw new Error(isDown ? "down" : "random");
    if (random() >= 0.05) return;
    stall();
    throw new Error("timed out, for the event loop stood still");
  };
  const api = resource("api", { start: () => guard, probe });
  const running = await container([api], { clock }).start();
  let status: HealthStatus = "healthy";
  const look = (): void => {
    const now = running.health().resources[0]?.status ?? "unknown";
    if (now !== "healthy" && status === "healthy" && !isDown) total.falseFlips++;
    status = now;
  };
  while (clock.now() < HOUR_MS) {
    await clock.advance(random() * 60_000);
    // Calls are under way when the loop stalls, and more come right after it.
    const calls = Array.from({ length: 5 }, () => guard.run(() => clock.sleep(20)).catch(() => {}));
    stall();
    calls.push(guard.run(() => clock.sleep(20)).catch(() => {}));
    await clock.runUntil(Promise.all(calls));
    look();
  }
  total.opened += guard.breaker?.stats().opened ?? 0;
  isDown = true;
  await clock.advance(60_000);
  total.outages++;
  if (running.health().resources[0]?.status === "unhealthy") total.found++;
  await clock.runUntil(running.stop());
  total.seeds++;
}

subscribe(CHANNELS.probe, (event) => {
  total.probes++;
  if ((event as { readonly error: unknown }).error !== undefined) total.failedProbes++;
});
const [from = 0, to = 0] = process.argv.slice(2).map(Number);
for (let seed = from; seed < to; seed++) await hour(seed);
console.log(JSON.stringify(total satisfies Soaked));
process.exit(0);

import { setTimeout as sleep } from "node:timers/promises";
import type { FaultProxy } from "@steward/testing";
import type { Backend } from "../drivers/driver.ts";

type SoakFault = (proxy: FaultProxy, backend: Backend, ms: number) => Promise<unknown>;

/** Faults by name. Each ends by itself; what it broke is whole again afterwards. */
export const SOAK_FAULTS: Readonly<Record<string, SoakFault>> = {
  reset: async (proxy) => proxy.reset(),
  "half-open": async (proxy) => proxy.halfOpen(),
  blackhole: (proxy, _, ms) => during(proxy, ms, () => proxy.blackhole()),
  refuse: (proxy, _, ms) => during(proxy, ms, () => proxy.refuse()),
  "lost replies": (proxy, _, ms) => during(proxy, ms, () => proxy.dropReplies()),
  "paused replies": (proxy, _, ms) => during(proxy, ms, () => proxy.pauseReplies()),
  slow: (proxy, _, ms) => during(proxy, ms, () => proxy.latency(100, 80)),
  cut: (proxy) => during(proxy, 500, () => proxy.limit(40)),
  kill: async (_, backend, ms) => {
    await backend.kill();
    await sleep(ms / 2);
    await backend.restart();
  },
  freeze: async (_, backend, ms) => {
    await backend.pause();
    await sleep(ms);
    await backend.resume();
  },
};

async function during(proxy: FaultProxy, ms: number, begin: () => unknown): Promise<void> {
  await begin();
  await sleep(ms);
  await proxy.heal();
}

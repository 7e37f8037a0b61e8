import { setTimeout as sleep } from "node:timers/promises";
import { startFaultProxy, type FaultProxy } from "@steward/testing";
import { ARMS, TIMEOUT_MS, type ArmName, type Backend, type Client, type DriverName } from "../drivers/driver.ts";
import type { Fault } from "./faults.ts";
import { figuresOf, type Figures, type Instants } from "./figures.ts";
import { Load } from "./load.ts";

/** How long and how much. */
export interface Span {
  readonly warmMs: number;
  /** Of freezes, blackholes and failovers. */
  readonly longMs: number;
  /** Load goes on so long after heal. */
  readonly afterMs: number;
}

const RATE = 200;
/** One call in so many is a write. */
const WRITES = 4;
/** Nothing that has a deadline is still open so long after the last call. */
const SETTLE_MS = TIMEOUT_MS + 500;

interface Arm {
  readonly name: ArmName;
  readonly client: Client;
  readonly load: Load;
}

/** Drills one fault of one driver: all three clients at the same time, on the same server, through the same proxy. */
export async function drill(driver: DriverName, fault: Fault, backend: Backend, span: Span): Promise<Figures[]> {
  const proxy = await startFaultProxy({ target: backend.url ?? "tcp://127.0.0.1:1" });
  const arms: Arm[] = [];
  for (const name of ARMS) arms.push(await open(name, fault, backend, proxy));
  try {
    const at = await passThrough(fault, backend, proxy, arms, span);
    const all: Figures[] = [];
    for (const { name, load } of arms) {
      const executions = await backend.executions(prefixOf(fault, name));
      all.push({ fault: fault.name, driver, arm: name, ...figuresOf(load.samples, load.jitterMs, at, executions) });
    }
    return all;
  } finally {
    await Promise.all(arms.map(({ client }) => client.end()));
    await proxy.stop();
  }
}

function prefixOf(fault: Fault, arm: ArmName): string {
  return `${fault.name}:${arm}:`.replaceAll(/[ ,]/g, "_");
}

async function open(name: ArmName, fault: Fault, backend: Backend, proxy: FaultProxy): Promise<Arm> {
  const client = await backend.connect(name, proxy.url, fault.settings ?? {});
  const prefix = prefixOf(fault, name);
  const load = new Load(RATE, TIMEOUT_MS, (n) => {
    const id = n % WRITES === 0 ? `${prefix}${n}` : undefined;
    return { id, done: id === undefined ? client.read() : client.write(id) };
  });
  return { name, client, load };
}

async function passThrough(
  fault: Fault,
  backend: Backend,
  proxy: FaultProxy,
  arms: readonly Arm[],
  span: Span,
): Promise<Instants> {
  const scene = { backend, proxy, clients: arms.map(({ client }) => client), longMs: span.longMs };
  await sleep(span.warmMs);
  // With a call of ours in flight: its deadline bounds the first error, and no time until the next call is added to that.
  await arms.find(({ name }) => name === "ours")?.load.next();
  const began = performance.now();
  const heal = await fault.begin(scene);
  await sleep(fault.ms(scene));
  await heal?.();
  const healed = heal === undefined || fault.healsItself === true ? began : performance.now();
  await sleep(span.afterMs);
  for (const { load } of arms) load.stop();
  await sleep(SETTLE_MS);
  return { fault: began, heal: healed, end: performance.now() };
}

import { setTimeout as sleep } from "node:timers/promises";
import type { FaultProxy } from "@steward/testing";
import type { ArmSettings, Backend, Client, DriverName } from "../drivers/driver.ts";

/** What a fault may break. */
export interface Scene {
  readonly backend: Backend;
  readonly proxy: FaultProxy;
  readonly clients: readonly Client[];
  /** How long the long faults last, in ms. */
  readonly longMs: number;
}

/** One line of the matrix. */
export interface Fault {
  readonly name: string;
  /** Which drivers know it. Default: all. */
  readonly only?: readonly DriverName[];
  /** By sentinels instead of the fault proxy. */
  readonly sentinel?: boolean;
  /** Recovery needs no heal: time counts from the fault. */
  readonly healsItself?: boolean;
  readonly settings?: ArmSettings;
  /** Breaks things, and gives what heals them; nothing where it is for good, and time counts from the fault. */
  begin(scene: Scene): Promise<(() => Promise<unknown>) | undefined>;
  /** Time between fault and heal, in ms. */
  ms(scene: Scene): number;
}

const SHORT_MS = 3_000;
const short = ({ longMs }: Scene): number => Math.min(SHORT_MS, longMs);
const long = ({ longMs }: Scene): number => longMs;
const atOnce = (): number => 0;

/** Whether a driver knows a fault. */
export function isFor({ only }: Fault, driver: DriverName): boolean {
  return only?.includes(driver) !== false;
}

/** All faults, in the order of the report. */
export const FAULTS: readonly Fault[] = [
  {
    name: "kill and restart",
    ms: short,
    begin: async ({ backend }) => {
      await backend.kill();
      return () => backend.restart();
    },
  },
  {
    name: "freeze",
    ms: long,
    begin: async ({ backend }) => {
      await backend.pause();
      return () => backend.resume();
    },
  },
  {
    name: "reset",
    ms: atOnce,
    begin: async ({ proxy }) => {
      proxy.reset();
      return undefined;
    },
  },
  {
    name: "blackhole",
    ms: long,
    begin: async ({ proxy }) => {
      proxy.blackhole();
      return () => proxy.heal();
    },
  },
  {
    name: "half-open",
    ms: atOnce,
    begin: async ({ proxy }) => {
      proxy.halfOpen();
      return undefined;
    },
  },
  {
    name: "slow peer",
    ms: short,
    begin: async ({ proxy }) => {
      proxy.latency(200, 50);
      return () => proxy.heal();
    },
  },
  {
    name: "full queue",
    ms: short,
    settings: { maxConnections: 4, maxPending: 50 },
    begin: async ({ proxy }) => {
      proxy.pauseReplies();
      return () => proxy.heal();
    },
  },
  {
    name: "pool exhausted",
    only: ["http", "database", "redis"], // the others share one connection
    ms: short,
    settings: { maxConnections: 4 },
    begin: async (scene) => {
      const { clients } = scene;
      const held = clients.flatMap((client) =>
        Array.from({ length: 4 }, () => client.slow(short(scene)).catch(() => {})),
      );
      return () => Promise.race([Promise.all(held), sleep(short(scene))]);
    },
  },
  {
    name: "failover, master killed",
    only: ["redis"],
    sentinel: true,
    healsItself: true,
    ms: long,
    begin: async ({ backend }) => {
      await backend.kill();
      return () => backend.restart();
    },
  },
  {
    name: "failover, master frozen",
    only: ["redis"],
    sentinel: true,
    healsItself: true,
    ms: long,
    begin: async ({ backend }) => {
      await backend.pause();
      return () => backend.resume();
    },
  },
];

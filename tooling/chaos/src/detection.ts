import type { Manager } from "@steward/core/driver";
import { DatabasePoolManager } from "@steward/database";
import { GrpcChannelManager } from "@steward/grpc";
import { type Row, row } from "@steward/harness";
import { HttpSessionManager } from "@steward/http";
import { RedisPoolManager } from "@steward/redis";
import { detect, type Detected, FAULTS, type FaultProxy, PROMISED, type Subject } from "@steward/testing";
import { WebSocketSessionManager } from "@steward/websocket";
import type { DriverName } from "./drivers/driver.ts";
import { Echo } from "./drivers/echo.ts";
import { inProcess, sideBySide } from "./in-process.ts";
import { Jitter } from "./rate.ts";

/** How an outage was noticed by a driver, and what the machine adds to a time. */
export interface Noticed extends Detected {
  readonly driver: DriverName;
  readonly fault: string;
  readonly jitterMs: number;
}

type Start = (proxy: FaultProxy) => Promise<Subject<Manager<unknown>>>;

/** Managers of ours with default options, and a call of each. */
const START: Readonly<Record<DriverName, Start>> = {
  async http(proxy) {
    const manager = await new HttpSessionManager({ baseUrl: proxy.url }).start();
    return { manager, call: async () => (await manager.client.request("/")).body.text() };
  },
  async database(proxy) {
    const manager = await new DatabasePoolManager({ url: proxy.url }).start();
    return { manager, call: () => manager.client.$client`select 1` };
  },
  async redis(proxy) {
    const manager = await new RedisPoolManager({ host: proxy.host, port: proxy.port }).start();
    return { manager, call: () => manager.client.incr("n") };
  },
  async websocket(proxy) {
    const manager = await new WebSocketSessionManager({ url: proxy.url }).start();
    return { manager, call: () => manager.client.call("r") };
  },
  async grpc(proxy) {
    const manager = await new GrpcChannelManager({ address: `${proxy.host}:${proxy.port}`, service: Echo }).start();
    const call = (): Promise<unknown> =>
      new Promise((resolve, reject) => {
        manager.client.say(Buffer.from("r"), {}, (error, answer) => (error === null ? resolve(answer) : reject(error)));
      });
    return { manager, call };
  },
};

const SPAN = { warmMs: 3_000, outMs: 2_500, openMs: 0, afterMs: 4_000 };
/** Times are short ones, so the timers whose lateness is measured beside them are too. */
const JITTER_OF_MS = 1_000;

/** Lets a driver meet every fault, one after the other, before a server. */
export async function noticed(driver: DriverName, url: string): Promise<Noticed[]> {
  const all: Noticed[] = [];
  for (const [fault, happen] of Object.entries(FAULTS)) {
    using jitter = new Jitter(JITTER_OF_MS);
    const seen = await detect(url, START[driver], happen, SPAN);
    all.push({ driver, fault, ...seen, jitterMs: Math.ceil(jitter.ms) });
  }
  return all;
}

/** Judges what drivers promise with default options; times but for what the machine adds to them. */
export function detectionRows(all: readonly Noticed[]): Row[] {
  return all.flatMap((seen) => {
    const { driver: area, fault, jitterMs } = seen;
    const within = (what: string, ms: number, boundMs: number): Row => {
      const work = `${fault}, 50 calls a second: ${what} (${boundMs} ms + ${jitterMs} ms of jitter)`;
      return row({ area, work, unit: "ms", ours: Math.round(ms), bar: `<= ${boundMs + jitterMs}` });
    };
    const works = `${fault}, 50 calls a second: calls begun while unhealthy`;
    return [
      within("unhealthy or healed", Math.min(seen.unhealthyMs, seen.healedMs), PROMISED.noticedMs),
      within("healthy after the cure", seen.healthyAgainMs, PROMISED.healthyAgainMs),
      row({ area, work: `${works}, refused after 50 ms`, unit: "calls", ours: seen.lateRefusals, bar: "= 0" }),
      row({
        area,
        work: `${works}, answered or ended within 50 ms`,
        unit: "of all",
        ours: Number(seen.quickRatio.toFixed(3)),
        bar: `>= ${PROMISED.quickRatio}`,
      }),
    ];
  });
}

/** All faults of these drivers, each driver in a process of its own. */
export async function detection(drivers: readonly DriverName[]): Promise<Noticed[]> {
  const sent = await sideBySide(drivers, (driver) => inProcess(["detection", driver, "", ""]));
  return sent.flat(2) as Noticed[]; // what the worker sends
}

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startFaultProxy, type FaultProxy } from "@steward/testing";
import { startRedis, type RedisServer } from "@steward/launchers";
import { Redis } from "ioredis";
import type { Counts, Plan, Sent } from "./plan.ts";

/** What differs between the arms of the model. */
export type ArmPlan = Pick<Plan, "localTtlMs" | "hasBus" | "boundMs" | "control">;

const INSTANCES = 4;
const HOUR_MS = 3_600_000;
const CLOCKS_OFF_MS = [0, HOUR_MS, -HOUR_MS, 0];
const END_WAIT_MS = 10_000;

/** Several processes with one cache, and what can be broken of them. */
export class Fleet implements AsyncDisposable {
  readonly #redis: RedisServer;
  readonly #truth: RedisServer;
  readonly #bus: FaultProxy;
  readonly #plan: ArmPlan;
  readonly #instances: ChildProcess[] = [];
  readonly #refused = new Map<ChildProcess, number>();
  counts: Counts = { reads: 0, stale: 0, late: 0, writes: 0, unsent: 0, failed: 0 };
  /** Why a read or a write failed last. */
  failure = "";

  private constructor(redis: RedisServer, truth: RedisServer, bus: FaultProxy, plan: ArmPlan) {
    this.#redis = redis;
    this.#truth = truth;
    this.#bus = bus;
    this.#plan = plan;
  }

  static async start(plan: ArmPlan): Promise<Fleet> {
    const [redis, truth] = await Promise.all([startRedis(), startRedis()]);
    const fleet = new Fleet(redis, truth, await startFaultProxy({ target: redis.url }), plan);
    await Promise.all(Array.from({ length: INSTANCES }, (_, place) => fleet.#fork(place)));
    return fleet;
  }

  /** Late writes that were refused. */
  get refused(): number {
    return [...this.#refused.values()].reduce((sum, count) => sum + count, 0);
  }

  async killInstance(): Promise<void> {
    const [place, instance] = this.#any();
    instance.removeAllListeners("exit");
    const ended = once(instance, "exit");
    instance.kill("SIGKILL");
    await ended;
    await this.#fork(place);
  }

  async freezeInstance(): Promise<void> {
    const [, instance] = this.#any();
    instance.kill("SIGSTOP");
    await sleep(200 + Math.random() * 1_800);
    instance.kill("SIGCONT");
  }

  async freezeRedis(): Promise<void> {
    await this.#redis.pause();
    await sleep(100 + Math.random() * 900);
    await this.#redis.resume();
  }

  /** It comes back empty. */
  async killRedis(): Promise<void> {
    await this.#redis.kill();
    await sleep(Math.random() * 300);
    await this.#redis.restart();
  }

  /** Messages are lost; the connections they came by stay silent for good. */
  async cutBus(): Promise<void> {
    this.#bus.blackhole();
    await sleep(200 + Math.random() * 1_800);
    await this.#bus.heal();
  }

  async resetBus(): Promise<void> {
    this.#bus.reset();
    await sleep(100);
  }

  /** What the order of invalidations is kept in is lost, and nothing else. */
  async loseMarks(): Promise<void> {
    const redis = new Redis(this.#redis.url);
    await redis.del("{model:cache:v1}m");
    redis.disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#instances.map(end));
    await this.#bus.stop();
    await Promise.all([this.#redis.stop(), this.#truth.stop()]);
  }

  #any(): readonly [place: number, instance: ChildProcess] {
    const place = Math.floor(Math.random() * this.#instances.length);
    return [place, this.#instances[place] as ChildProcess]; // there is one in each place
  }

  /** Starts an instance, and waits until it is at work. */
  async #fork(place: number): Promise<void> {
    const plan: Plan = {
      ...this.#plan,
      url: this.#redis.url,
      busUrl: this.#bus.url,
      truthUrl: this.#truth.url,
      prefix: "model",
      clockOffMs: CLOCKS_OFF_MS[place] ?? 0,
    };
    const instance = fork(join(import.meta.dirname, "program.js"), [JSON.stringify(plan)]);
    instance.on("message", (sent: Sent) => this.#add(instance, sent));
    instance.on("exit", (code) => this.#gone(code));
    this.#instances[place] = instance;
    await Promise.race([once(instance, "message"), once(instance, "exit")]);
  }

  #gone(code: number | null): void {
    if (code === 0) return;
    this.counts = { ...this.counts, failed: this.counts.failed + 1 };
    this.failure = `an instance ended with ${code}`;
  }

  #add(instance: ChildProcess, { counts, failure, refused }: Sent): void {
    const sum = (name: keyof Counts): number => this.counts[name] + counts[name];
    this.counts = {
      reads: sum("reads"),
      stale: sum("stale"),
      late: sum("late"),
      writes: sum("writes"),
      unsent: sum("unsent"),
      failed: sum("failed"),
    };
    this.#refused.set(instance, refused);
    if (failure !== "") this.failure = failure;
  }
}

async function end(instance: ChildProcess): Promise<void> {
  if (instance.exitCode !== null || instance.signalCode !== null) return;
  instance.removeAllListeners("exit");
  const ended = once(instance, "exit");
  instance.kill("SIGCONT");
  if (instance.connected) instance.send("end", () => {}); // it may end meanwhile
  await Promise.race([ended, sleep(END_WAIT_MS, undefined, { ref: false })]);
  instance.kill("SIGKILL");
  await ended;
}

import { readdirSync } from "node:fs";
import { resource, type Definition } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import type { ContractAssert } from "../contract/factory.ts";
import { rounds } from "../effort.ts";
import { until } from "../waits.ts";
import type { ServerAdapter, SuiteRoute, SuiteServer, SuiteSettings } from "./adapter.ts";
import { ask, type Answer, type Ask } from "./client.ts";

const SETTINGS: SuiteSettings = {
  timeoutMs: 10_000,
  closeTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  stallTimeoutMs: 10_000,
  maxBodyBytes: 1_000,
};

/** How often each unkind thing is done; `STEWARD_EFFORT=25` in the environment for a thousand. */
export const ROUNDS: number = rounds(40);

/** What a lease is used for. */
export interface Lease {
  use(): void;
}

/** How often leases were taken and given back, and used when they were not held any more. */
export interface Counts {
  taken: number;
  given: number;
  late: number;
}

/** A server that listens. */
export interface Up {
  readonly port: number;
  /** Node's own. */
  readonly server: SuiteServer["server"];
  ask(path: string, options?: Ask): Promise<Answer>;
  stats(): ReturnType<SuiteServer["stats"]>;
  /** Nothing of any request is left. */
  idle(): Promise<void>;
  stop(): Promise<unknown>;
}

/** What one case of the suite is run with. */
export class World {
  readonly adapter: ServerAdapter;
  readonly assert: ContractAssert;
  /** Says what a crowd has left. */
  readonly comment: (text: string) => void;
  /** What happened, in order. */
  readonly log: string[] = [];
  readonly #stops: (() => Promise<unknown>)[] = [];

  constructor(adapter: ServerAdapter, assert: ContractAssert, comment: (text: string) => void) {
    this.adapter = adapter;
    this.assert = assert;
    this.comment = comment;
  }

  /** Starts a server with routes, and what else is in its container. */
  async up(
    routes: readonly SuiteRoute[],
    settings: Partial<SuiteSettings> = {},
    roots: readonly AnyDefinition[] = [],
  ): Promise<Up> {
    const { listening, started } = this.launch(routes, settings, roots);
    await started;
    return listening;
  }

  /** The same, where the server listens before all of its container is up. */
  launch(
    routes: readonly SuiteRoute[],
    settings: Partial<SuiteSettings> = {},
    roots: readonly AnyDefinition[] = [],
  ): { readonly listening: Promise<Up>; readonly started: Promise<unknown> } {
    const server = this.adapter.server(routes, { ...SETTINGS, ...settings });
    let listens = (_server: SuiteServer): void => {};
    const listening = new Promise<SuiteServer>((resolve) => (listens = resolve));
    const seen = resource("seen", { needs: { server }, start: (values) => listens(values.server) });
    const started = this.adapter.container([server, seen, ...roots]).start();
    const stop = async (): Promise<unknown> => (await started).stop();
    this.#stops.push(stop);
    return { started, listening: listening.then((up) => upOf(up, stop)) };
  }

  /** Stops what the case has started. */
  async end(): Promise<void> {
    for (const stop of this.#stops) await stop().catch(() => {}); // most cases have stopped it
  }

  /** A resource of each request that counts how often it is held, and how often it was used when it was not. */
  lease(name = "lease"): { readonly definition: Definition<Lease, "request", never>; readonly counts: Counts } {
    const counts: Counts = { taken: 0, given: 0, late: 0 };
    const definition = resource(name, {
      lifetime: "request",
      async *start() {
        counts.taken++;
        let isHeld = true;
        try {
          yield { use: () => void (isHeld || counts.late++) };
        } finally {
          isHeld = false;
          counts.given++;
        }
      },
    });
    return { definition, counts };
  }

  /** A resource that notes in the log how it begins and ends. */
  noted<const L extends "request" | "handler">(name: string, lifetime: L): Definition<string, L, never> {
    const { log } = this;
    return resource(name, {
      lifetime,
      async *start() {
        log.push(`${name}+`);
        try {
          yield name;
          log.push(`${name} kept`);
        } catch (error) {
          log.push(`${name} saw ${error instanceof Error ? error.message : "nothing"}`);
          throw error;
        }
      },
    }) as Definition<string, L, never>; // the lifetime is that of the argument
  }
}

function upOf(server: SuiteServer, stop: () => Promise<unknown>): Up {
  const port = Number(new URL(server.url).port);
  const stats = (): ReturnType<SuiteServer["stats"]> => server.stats();
  const isIdle = (): boolean => stats().openRequests === 0 && stats().releasing === 0;
  return {
    port,
    server: server.server,
    ask: (path, options) => ask(port, path, options),
    stats,
    idle: () => until(isIdle, "nothing of any request is left"),
    stop,
  };
}

/** A promise, and how to let it go on. */
export function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open: () => void = () => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

/** Open files and sockets of this process. */
export function descriptors(): number {
  return readdirSync("/dev/fd").length;
}

/** One case of the suite. */
export interface ServerCase {
  readonly name: string;
  readonly run: (world: World) => Promise<void>;
}

import { setTimeout as sleep } from "node:timers/promises";
import { StewardError } from "@steward/core";
import { freePort, isFree } from "./ports.ts";
import { type EndStep, type ServerCommand, ServerProcess } from "./server-process.ts";

/** How to bring one server up and down. */
export interface LaunchPlan {
  /** As in messages, e.g. `Postgres`. */
  readonly name: string;
  command(port: number): Promise<ServerCommand>;
  /** Whether this very process serves on the port. */
  ready(port: number, pid: number): Promise<boolean>;
  readonly endSteps: readonly EndStep[];
  readonly startTimeoutMs: number;
  /** Fixed port; without it a free one. */
  readonly port?: number | undefined;
  /** How long to wait for `port` to become free, in ms. Default 0. */
  readonly portWaitMs?: number;
  readonly maxPort?: number;
}

/** A server that answered. */
export interface Launched {
  readonly process: ServerProcess;
  readonly port: number;
}

const POLL_MS = 10;
const PORT_TRIES = 5;
// What a dying predecessor leaves behind for a moment.
const LEFTOVER = /shared memory block|lock file "postmaster\.pid" already exists/;
const BUSY = /address already in use|could not bind|could not create any TCP\/IP sockets/i;

/**
 * Starts the program and waits until it serves. A port that somebody took in between is replaced by another one;
 * a given port is waited for.
 *
 * @throws {SERVER_START_FAILED} it ended by itself; the message holds its last words.
 * @throws {SERVER_START_TIMEOUT} it did not serve in time.
 * @throws {SERVER_PORT_BUSY} the given port, or every tried one, belongs to another program.
 */
export async function launch(plan: LaunchPlan, signal?: AbortSignal): Promise<Launched> {
  const deadline = performance.now() + plan.startTimeoutMs;
  for (let busy = 0; busy < PORT_TRIES;) {
    const port = plan.port === undefined ? await freePort(plan.maxPort) : await given(plan, plan.port, signal);
    const outcome = await attempt(plan, port, deadline, signal);
    if (typeof outcome === "object") return { process: outcome, port };
    if (outcome === "busy") busy += 1;
    else await sleep(5 * POLL_MS);
  }
  throw new StewardError(
    "SERVER_PORT_BUSY",
    `${plan.name}: found no port that stays free on 127.0.0.1 (${PORT_TRIES} tries)`,
  );
}

async function given(plan: LaunchPlan, port: number, signal?: AbortSignal): Promise<number> {
  const until = performance.now() + (plan.portWaitMs ?? 0);
  while (!(await isFree(port))) {
    signal?.throwIfAborted();
    if (performance.now() > until) {
      throw new StewardError("SERVER_PORT_BUSY", `${plan.name}: port ${port} of 127.0.0.1 belongs to another program`);
    }
    await sleep(5 * POLL_MS);
  }
  return port;
}

type Attempt = ServerProcess | "busy" | "leftover";

async function attempt(plan: LaunchPlan, port: number, deadline: number, signal?: AbortSignal): Promise<Attempt> {
  signal?.throwIfAborted();
  const process = await ServerProcess.spawn(await plan.command(port));
  try {
    while (process.exit === undefined && !(await plan.ready(port, process.pid))) {
      signal?.throwIfAborted();
      if (performance.now() > deadline) throw await tooSlow(plan, process);
      await sleep(POLL_MS);
    }
    const tooLate = process.exit === undefined && performance.now() > deadline;
    if (tooLate) throw await tooSlow(plan, process); // ready, but no caller waits any more
  } catch (error) {
    await process.end(plan.endSteps);
    throw error;
  }
  return process.exit === undefined ? process : whyEnded(plan, process, deadline);
}

async function tooSlow(plan: LaunchPlan, process: ServerProcess): Promise<StewardError> {
  const words = await process.logTail();
  return new StewardError(
    "SERVER_START_TIMEOUT",
    `${plan.name} was not ready within ${plan.startTimeoutMs} ms. ${said(words)}`,
  );
}

async function whyEnded(plan: LaunchPlan, process: ServerProcess, deadline: number): Promise<"busy" | "leftover"> {
  const words = await process.logTail();
  if (BUSY.test(words)) return "busy";
  if (LEFTOVER.test(words) && performance.now() < deadline) return "leftover";
  const how = process.exit?.signal ?? `code ${process.exit?.code}`;
  throw new StewardError("SERVER_START_FAILED", `${plan.name} ended before it was ready (${how}). ${said(words)}`);
}

function said(words: string): string {
  return words === "" ? "It wrote nothing" : `It wrote:\n${words}`;
}

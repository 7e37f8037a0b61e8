import type { HeapProfiler, Profiler } from "node:inspector";
import type { Session } from "node:inspector/promises";
import { containerError } from "../errors.ts";

/** A profile of the CPU, as DevTools read it. */
export type CpuProfile = Profiler.Profile;
/** Where memory was allocated that is still held, as DevTools read it. */
export type HeapProfile = HeapProfiler.SamplingHeapProfile;

/** What may be profiled by one at a time. */
export type ProfileKind = "cpu" | "heap-sampling" | "snapshot";

const RUNNING = Symbol.for("steward.profile");

/** Shared by all copies of this package in a process. */
const shared = globalThis as { [RUNNING]?: ProfileKind | undefined };

/** Bytes allocated between two samples, on average: Node's own default. */
const HEAP_INTERVAL_BYTES = 32_768;

/**
 * Has the process to itself until it is given back.
 *
 * @throws {PROFILE_RUNNING} while another profile is taken.
 * @throws {PROFILE_DEBUGGER} while a debugger may be attached, unless `isForced`.
 */
export async function claimProfiler(kind: ProfileKind, isForced: boolean): Promise<Disposable> {
  const inspector = await import("node:inspector");
  const running = shared[RUNNING];
  if (running !== undefined)
    throw containerError("PROFILE_RUNNING", `a profile (${running}) is being taken; try again when it is done`, {
      retryable: true,
    });
  if (!isForced && inspector.url() !== undefined)
    throw containerError("PROFILE_DEBUGGER", "a debugger may be attached (--inspect); force the profile to take it");
  shared[RUNNING] = kind;
  return { [Symbol.dispose]: () => void (shared[RUNNING] = undefined) };
}

/** Records where the CPU is spent, from `start` on. */
export class CpuRecording {
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  static async start(intervalMs: number): Promise<CpuRecording> {
    const session = await connected();
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: Math.round(intervalMs * 1_000) });
    await session.post("Profiler.start");
    return new CpuRecording(session);
  }

  /** Ends it and gives what it recorded. */
  async stop(): Promise<CpuProfile> {
    try {
      return (await this.#session.post("Profiler.stop")).profile;
    } finally {
      this.#session.disconnect();
    }
  }

  /** Gives what it recorded so far, and goes on with nothing. */
  async renew(): Promise<CpuProfile> {
    const { profile } = await this.#session.post("Profiler.stop");
    await this.#session.post("Profiler.start");
    return profile;
  }
}

/** Records where memory is allocated while `work` runs. */
export async function heapProfile(work: () => Promise<void>): Promise<HeapProfile> {
  const session = await connected();
  try {
    await session.post("HeapProfiler.enable");
    await session.post("HeapProfiler.startSampling", { samplingInterval: HEAP_INTERVAL_BYTES });
    await work();
    return (await session.post("HeapProfiler.stopSampling")).profile;
  } finally {
    session.disconnect();
  }
}

async function connected(): Promise<Session> {
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  session.connect();
  return session;
}

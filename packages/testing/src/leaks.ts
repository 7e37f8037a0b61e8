import { getActiveResourcesInfo } from "node:process";
import { StewardError } from "@steward/core";

/** Kinds of open handles that keep a process alive, with their counts, e.g. `{ TCPSocketWrap: 2, Timeout: 1 }`. */
export type HandleCounts = Readonly<Record<string, number>>;

/** What is open more than when the tracking began. */
export interface HandleTracker {
  /** New handles by kind; empty when there are none. */
  leaked(): HandleCounts;
  /**
   * Waits until nothing new is open; sockets and processes need a few turns to close.
   *
   * @param withinMs how long to wait, in ms of real time. Default 10,000.
   * @throws {HANDLES_LEAKED} something stays open; the message counts it by kind.
   */
  assertNoLeaks(withinMs?: number): Promise<void>;
}

// Work of the moment, not something left open: file operations, look-ups, and our own waiting.
const PASSING = new Set(["FSReqCallback", "FSReqPromise", "Immediate", "GetAddrInfoReqWrap", "TickObject", "CloseReq"]);
const POLL_MS = 10;
const PATIENCE_MS = 10_000;

function count(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of getActiveResourcesInfo()) if (!PASSING.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/**
 * Remembers what is open now, to find later what was opened and not closed.
 *
 * It sees what keeps the process alive: sockets, servers, child processes, timers that are not `unref`.
 *
 * @example
 * ```ts
 * import { trackHandles } from "@steward/testing";
 * const handles = trackHandles();
 * const timer = setInterval(() => {}, 1_000);
 * console.log(handles.leaked()); // => { Timeout: 1 }
 * clearInterval(timer);
 * await handles.assertNoLeaks();
 * ```
 */
export function trackHandles(): HandleTracker {
  const before = count();
  const leaked = (): HandleCounts => {
    const more = [...count()].map(([kind, now]) => [kind, now - (before.get(kind) ?? 0)] as const);
    return Object.fromEntries(more.filter(([, extra]) => extra > 0));
  };
  return { leaked, assertNoLeaks: (withinMs = PATIENCE_MS) => assertNone(leaked, withinMs) };
}

async function assertNone(leaked: () => HandleCounts, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  for (;;) {
    const open = leaked();
    const kinds = Object.entries(open);
    if (kinds.length === 0) return;
    if (performance.now() > until) {
      const list = kinds.map(([kind, extra]) => `${extra} ${kind}`).join(", ");
      throw new StewardError(
        "HANDLES_LEAKED",
        `still open ${withinMs} ms after the end: ${list}. Close what the test opened`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Runs `fn` and fails when it left something open. Its value is passed on. */
export async function assertNoLeaks<T>(fn: () => Promise<T> | T, withinMs?: number): Promise<T> {
  const handles = trackHandles();
  const value = await fn();
  await handles.assertNoLeaks(withinMs);
  return value;
}

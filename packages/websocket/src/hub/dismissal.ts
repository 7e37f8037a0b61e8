import type { Clock } from "@steward/core";
import type { HubSocket } from "./socket.ts";

const GOING_AWAY = 1001;

/**
 * Closes sockets with 1001, each at a moment of its own and once it has its replies, so that clients do not come back
 * together. When the signal aborts, the rest is closed at once. Resolves when all have ended.
 */
export async function dismiss(
  sockets: readonly HubSocket[],
  clock: Clock,
  spreadMs: number,
  signal: AbortSignal,
): Promise<void> {
  const timers = sockets.map((socket) => clock.setTimeout(() => socket.leave(), Math.random() * spreadMs));
  const hurry = (): void => {
    for (const timer of timers) timer.cancel();
    for (const socket of sockets) socket.close(GOING_AWAY, "going away");
  };
  signal.addEventListener("abort", hurry, { once: true });
  if (signal.aborted) hurry();
  await Promise.all(sockets.map(closing));
  signal.removeEventListener("abort", hurry);
}

/** Closes sockets with 1001 now, by force after `timeoutMs` or when the signal aborts. Resolves when all have ended. */
export async function end(
  sockets: readonly HubSocket[],
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const kill = (): void => sockets.forEach((socket) => socket.terminate());
  const timer = clock.setTimeout(kill, timeoutMs);
  signal.addEventListener("abort", kill, { once: true });
  for (const socket of sockets) socket.close(GOING_AWAY, "going away");
  if (signal.aborted) kill();
  await Promise.all(sockets.map(closing));
  timer.cancel();
  signal.removeEventListener("abort", kill);
}

function closing(socket: HubSocket): Promise<void> {
  if (socket.readyState === socket.CLOSED) return Promise.resolve();
  // Before the listeners of others, which may throw.
  return new Promise((resolve) => socket.prependOnceListener("close", () => resolve()));
}

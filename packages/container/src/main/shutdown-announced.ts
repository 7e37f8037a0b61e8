const leaving = new WeakSet<object>();
const listeners = new WeakMap<object, () => void>();

/**
 * Says that a container is about to stop: from here on `/readyz` answers 503, while work is still taken. It gives load
 * balancers the time to look elsewhere. `runMain` does it at the first signal.
 */
export function announceShutdown(running: { health(): unknown }): void {
  if (leaving.has(running)) return;
  leaving.add(running);
  listeners.get(running)?.();
}

/** Whether a shutdown was announced. */
export function isShutdownAnnounced(running: object): boolean {
  return leaving.has(running);
}

/** Calls `listener` when the shutdown of a container is announced. */
export function onAnnounced(running: object, listener: () => void): void {
  listeners.set(running, listener);
}

const leaving = new WeakSet<object>();

/**
 * What a container does when its shutdown is announced. A method of its own: a value of a `WeakMap`, which would name the
 * container, survives every collection but a full one, and with it all that the container holds.
 */
export const ANNOUNCED: unique symbol = Symbol("announced");

/**
 * Says that a container is about to stop: from here on `/readyz` answers 503, while work is still taken. It gives load
 * balancers the time to look elsewhere. `runMain` does it at the first signal.
 */
export function announceShutdown(running: { health(): unknown }): void {
  if (leaving.has(running)) return;
  leaving.add(running);
  (running as { [ANNOUNCED]?(): void })[ANNOUNCED]?.(); // a container has it; what stands for one in a test may not
}

/** Whether a shutdown was announced. */
export function isShutdownAnnounced(running: object): boolean {
  return leaving.has(running);
}

const up = new Set<object>();
const listeners = new Set<(running: never) => void>();

/** The containers of this process that are up. */
export function allUp(): Iterable<object> {
  return up;
}

/** Calls a listener for every container that is up from here on; the result ends that. */
export function onUp(listener: (running: never) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Everything of a container has started. Throws what a listener throws. */
export function announceUp(running: object): void {
  up.add(running);
  for (const listener of listeners) listener(running as never); // `onContainerUp` says what listeners get
}

/** A container has stopped. */
export function announceDown(running: object): void {
  up.delete(running);
}

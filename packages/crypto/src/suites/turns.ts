/** Work that can pause: it yields where the event loop may run something else, and returns its result. */
export type Pausable<T> = Generator<undefined, T, undefined>;

/** Does the work at once. */
export function atOnce<T>(work: Pausable<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Does the work piece by piece, one piece a turn of the event loop, so that nothing else waits long. */
export async function inTurns<T>(work: Pausable<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await nextTurn();
  }
}

/** Resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

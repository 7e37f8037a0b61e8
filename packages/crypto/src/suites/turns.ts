/** Work that can pause: it yields where the event loop may run something else, and returns its result. */
export type Pausable<T> = Generator<undefined, T, undefined>;

/** Bytes that are there already, because they were few, or the work that gives them. */
export type BytesOrWork = Buffer | Pausable<Buffer>;

/** Does the work at once. */
export function atOnce(work: BytesOrWork): Buffer;
export function atOnce<T extends Uint8Array>(work: Pausable<T>): T;
export function atOnce(work: BytesOrWork | Pausable<Uint8Array>): Uint8Array {
  if (work instanceof Uint8Array) return work;
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Does the work piece by piece, one piece a turn of the event loop, so that nothing else waits long. */
export async function inTurns<T extends Uint8Array>(work: T | Pausable<T>): Promise<T> {
  if (work instanceof Uint8Array) return work;
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

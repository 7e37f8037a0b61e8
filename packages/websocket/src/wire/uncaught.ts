/** What a listener throws is an uncaught exception, as with plain `ws`, and no error of what goes on here. */
export function uncaught(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/** Calls listeners; what they throw is no error of ours. */
export function isolated(listeners: () => unknown): void {
  try {
    listeners();
  } catch (error) {
    uncaught(error);
  }
}

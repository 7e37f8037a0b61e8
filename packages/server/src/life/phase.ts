/**
 * Where a request stands.
 * - `open`: it may be answered, and its handler and hooks may run.
 * - `replied`: the response is over, and something of the request still runs.
 * - `ending`: nothing runs any more; its stream ends, its background work runs, and its scope is released.
 * - `ended`: nothing is left of it.
 */
export type Phase = "open" | "replied" | "ending" | "ended";

/** How a request went wrong: something of ours failed, or the client has gone, which is no failure of the handler. */
export type Outcome = { readonly kind: "failed" | "gone"; readonly error: unknown };

/** Which phases may follow which. */
export const NEXT: Readonly<Record<Phase, readonly Phase[]>> = {
  open: ["replied", "ending", "ended"],
  replied: ["ending", "ended"],
  ending: ["ended"],
  ended: [],
};

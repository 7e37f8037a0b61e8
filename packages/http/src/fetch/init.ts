import { anything, assertShape, recognised, shape, text } from "@steward/core/driver";
import { abort, headers, ours } from "../session/call-options.ts";

/** Everything that `fetch` knows. What means something in a browser only is taken, and does nothing. */
const fetchShape = shape<Record<string, unknown>>(() => ({
  ...ours,
  ...Object.fromEntries(
    [
      "body",
      "duplex",
      "mode",
      "credentials",
      "cache",
      "integrity",
      "keepalive",
      "referrer",
      "referrerPolicy",
      "priority",
      "window",
      "dispatcher",
    ].map((key) => [key, anything()]),
  ),
  headers: headers(),
  method: text(),
  redirect: recognised(
    (value) => ["follow", "error", "manual"].includes(String(value)),
    '"follow", "error" or "manual"',
  ),
  signal: abort(),
}));

/**
 * Refuses options of a `fetch` that are unknown or of a wrong type.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkFetch(resource: string, init: object): void {
  assertShape(`${resource}: fetch`, fetchShape, init);
}

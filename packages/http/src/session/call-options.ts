import {
  anything,
  assertShape,
  flag,
  func,
  milliseconds,
  recognised,
  rule,
  shape,
  text,
  type Rule,
} from "@steward/core/driver";

const ours = { timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY), streaming: flag() };

/** What undici takes as nothing. */
function orNull(inner: Rule): Rule {
  return rule(`${inner.expects} | null`, (value) => (value === null ? undefined : inner(value)));
}

const isSignal = (value: unknown): boolean =>
  typeof value === "object" && value !== null && ("addEventListener" in value || "on" in value);
const abort = (): Rule => orNull(recognised(isSignal, "an AbortSignal"));

/** Everything that undici knows of a request, and ours. */
const requestShape = shape<Record<string, unknown>>(() => ({
  ...ours,
  ...Object.fromEntries(
    ["origin", "path", "query", "body", "headers", "opaque", "responseHeaders"].map((key) => [key, anything()]),
  ),
  method: text(),
  signal: abort(),
  idempotent: flag(),
  blocking: flag(),
  reset: orNull(flag()),
  expectContinue: flag(),
  throwOnError: flag(),
  upgrade: anything(),
  headersTimeout: orNull(milliseconds(0)),
  bodyTimeout: orNull(milliseconds(0)),
  maxRedirections: anything(),
  highWaterMark: anything(),
  typeOfService: anything(),
  onInfo: orNull(func()),
  objectMode: flag(),
}));

/** Everything that `fetch` knows. What means something in a browser only is taken, and does nothing. */
const fetchShape = shape<Record<string, unknown>>(() => ({
  ...ours,
  ...Object.fromEntries(
    [
      "body",
      "headers",
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
  method: text(),
  redirect: recognised(
    (value) => ["follow", "error", "manual"].includes(String(value)),
    '"follow", "error" or "manual"',
  ),
  signal: abort(),
}));

/**
 * Refuses options of a request that are unknown or of a wrong type.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkRequest(resource: string, options: object | undefined): void {
  if (options !== undefined) assertShape(`${resource}: request`, requestShape, options);
}

/**
 * Refuses options of a `fetch` that are unknown or of a wrong type.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkFetch(resource: string, init: object): void {
  assertShape(`${resource}: fetch`, fetchShape, init);
}

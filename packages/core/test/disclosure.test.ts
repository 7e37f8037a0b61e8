import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import { Exposures, isHostAmong, isLoopback, outcomeUnknown } from "../src/driver.ts";
import { CHANNELS, grpcStatusOf, httpStatusOf, publicError, StewardError, type ExposureEvent } from "../src/index.ts";

t.test("the public part of an error is its code with a fixed sentence, or what its author marked as public", (t) => {
  const rows: readonly (readonly [error: unknown, code: string, http: number, grpc: string])[] = [
    [new StewardError("RESOURCE_UNAVAILABLE", "pg-3 is down"), "RESOURCE_UNAVAILABLE", 503, "UNAVAILABLE"],
    [new StewardError("CIRCUIT_OPEN", "pg-3"), "CIRCUIT_OPEN", 503, "UNAVAILABLE"],
    [new StewardError("OVERLOADED", "pg-3"), "OVERLOADED", 503, "RESOURCE_EXHAUSTED"],
    [new StewardError("DEADLINE_EXCEEDED", "pg-3"), "DEADLINE_EXCEEDED", 504, "DEADLINE_EXCEEDED"],
    [new StewardError("CALL_ABORTED", "pg-3"), "CALL_ABORTED", 499, "CANCELLED"],
    [new StewardError("AUTH_CREDENTIALS_INVALID", "pg-3"), "AUTH_CREDENTIALS_INVALID", 401, "UNAUTHENTICATED"],
    [new StewardError("AUTH_FORBIDDEN", "pg-3"), "AUTH_FORBIDDEN", 403, "PERMISSION_DENIED"],
    [new StewardError("AUTH_RATE_LIMITED", "pg-3"), "AUTH_RATE_LIMITED", 429, "RESOURCE_EXHAUSTED"],
    [new StewardError("AUTH_PASSWORD_REFUSED", "pg-3"), "AUTH_PASSWORD_REFUSED", 422, "INVALID_ARGUMENT"],
    [new StewardError("X_FAILED", "pg-3", { retryable: true }), "RESOURCE_UNAVAILABLE", 503, "UNAVAILABLE"],
    [new StewardError("X_FAILED", "pg-3"), "INTERNAL", 500, "INTERNAL"],
    [outcomeUnknown("pg-3", "cut"), "INTERNAL", 500, "INTERNAL"],
    [outcomeUnknown("pg-3", "cut", { retryable: true }), "RESOURCE_UNAVAILABLE", 503, "UNAVAILABLE"],
    [new StewardError("toString", "pg-3"), "INTERNAL", 500, "INTERNAL"],
    [new Error("pg-3", { cause: new StewardError("OVERLOADED", "pg-3") }), "OVERLOADED", 503, "RESOURCE_EXHAUSTED"],
    [new Error("pg-3"), "INTERNAL", 500, "INTERNAL"],
    [undefined, "INTERNAL", 500, "INTERNAL"],
  ];
  for (const [error, code, http, grpc] of rows) {
    t.same([publicError(error).code, httpStatusOf(error), grpcStatusOf(error)], [code, http, grpc]);
    t.notMatch(publicError(error).message, /pg-3/);
  }
  const marked = new StewardError("VIDEO_GONE", "row 7 of pg-3", {
    publicMessage: "it is gone",
    retryAfterMs: Number.NaN,
  });
  t.same(publicError(marked), { code: "VIDEO_GONE", message: "it is gone", retryable: false, retryAfterMs: undefined });
  t.end();
});

t.test("a call of unknown outcome says so in one code, and is not to be repeated unless it changes nothing", (t) => {
  const cause = new Error("read ECONNRESET");
  const error = outcomeUnknown("db", "the connection broke", { cause });
  t.match(error, { code: "OUTCOME_UNKNOWN", resource: "db", retryable: false, cause });
  t.match(error.message, "db: the connection broke; it may or may not have taken effect: look before you repeat it");
  t.equal(outcomeUnknown("db", "cut", { retryable: true }).retryable, true);
  t.end();
});

t.test("a host header is among names, this machine and addresses, or it is another's", (t) => {
  for (const host of ["api.example", "API.example:80", "localhost:3000", "10.0.0.7", "[2001:db8::1]:80", "0x7f.1"])
    for (const name of ["api.example", "API.example"]) t.ok(isHostAmong(host, [name]), host);
  for (const host of [
    undefined,
    "",
    "evil.example",
    "api.example.evil.example",
    "localhost.evil.example",
    "a.localhost",
  ])
    t.notOk(isHostAmong(host, ["api.example"]), String(host));
  t.notOk(isHostAmong("api.example", []));
  t.end();
});

t.test("this machine is known from others by name and address", (t) => {
  for (const host of [
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
  ])
    t.ok(isLoopback(host), host);
  for (const host of [
    "",
    "localhost.example",
    "a.localhost",
    "localhost.",
    "notlocalhost",
    "128.0.0.1",
    "0.0.0.0",
    "::",
    "::ffff:10.0.0.1",
    "127.0.0.1.example",
    "127.1",
  ])
    t.notOk(isLoopback(host), host);
  t.end();
});

t.test("an exposed credential is announced once, and stays in the numbers", (t) => {
  const heard: unknown[] = [];
  const hear = (event: unknown): void => void heard.push((event as ExposureEvent).message);
  subscribe(CHANNELS.exposure, hear);
  t.teardown(() => unsubscribe(CHANNELS.exposure, hear));
  const exposures = new Exposures("db");
  t.same(exposures.stats, {});
  const one = { what: "the password to h:1", how: "plaintext", remedy: "tls: true" } as const;
  exposures.announce([one]);
  exposures.announce([one]);
  t.same(heard, ["db: the password to h:1 goes in plain text; set tls: true"]);
  t.same(exposures.stats, { exposed: ["the password to h:1 goes in plain text; set tls: true"] });
  t.end();
});

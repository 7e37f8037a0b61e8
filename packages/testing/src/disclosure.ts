import { StewardError } from "@steward/core";
import { CORE_CODES } from "@steward/core/driver";

/** An error as it may meet a handler, full of what no caller may read. */
export interface LeakyError {
  /** What it stands for. */
  readonly name: string;
  /** A new one each time. */
  readonly make: () => unknown;
}

/** Words that stand in the errors of {@link leakyErrors}: hosts, addresses, accounts, statements, names, secrets. */
const SECRETS = [
  "corp.local",
  "10.11.12.13",
  "clips_user",
  "select *",
  "internal_db",
  "S3CR3T",
  "ledger-cache",
  "/srv/keys",
  "x-internal-trace",
  "set-token",
];

const TEXT =
  "ledger-cache: no connection to clips_user@10.11.12.13:5432/internal_db (pg-3.corp.local): select * from users where token='S3CR3T', see /srv/keys";

/** What of {@link leakyErrors} stands in a text that a caller got; nothing, if the server keeps the rule. */
export function leaksIn(text: string): readonly string[] {
  const lower = text.toLowerCase();
  return SECRETS.filter((secret) => lower.includes(secret.toLowerCase()));
}

const DRIVER_CODES = [
  "DATABASE_CONNECT_FAILED",
  "OUTCOME_UNKNOWN",
  "DATABASE_LEASE_ENDED",
  "DATABASE_MIGRATION_FAILED",
  "REDIS_CONNECT_FAILED",
  "REDIS_COMMAND_REFUSED",
  "HTTP_REPLY_TIMEOUT",
  "HTTP_RESPONSE_TOO_LARGE",
  "HTTP_PROXY_REFUSED",
  "GRPC_NOT_SERVING",
  "WEBSOCKET_CALL_FAILED",
  "WEBSOCKET_DISCONNECTED",
  "CRYPTO_KEY_UNKNOWN",
];

const SYSTEM_CODES = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "ETIMEDOUT",
  "EACCES",
  "ENOENT",
  "EPIPE",
  "ERR_INVALID_URL",
];

const ours = (code: string, more: object = {}): LeakyError => ({
  name: code,
  make: () => new StewardError(code, TEXT, { resource: "ledger-cache", cause: new Error(TEXT), ...more }),
});

const raw = (name: string, more: object): LeakyError => ({ name, make: () => Object.assign(new Error(TEXT), more) });

/** An error of another gRPC service, as grpc-js rejects with it; a server that passes it on speaks for that service. */
const ofService = (code: number): LeakyError =>
  raw(`downstream gRPC status ${code}`, {
    code,
    details: TEXT,
    metadata: {
      toJSON: () => ({ "x-internal-trace": ["node-17.corp.local"], "set-token": ["S3CR3T"] }),
      getMap: () => ({ "x-internal-trace": "node-17.corp.local", "set-token": "S3CR3T" }),
      toHttp2Headers: () => ({ "x-internal-trace": "node-17.corp.local", "set-token": "S3CR3T" }),
      get: () => ["S3CR3T"],
    },
  });

const SHAPES: readonly LeakyError[] = [
  { name: "a plain error", make: () => new Error(TEXT) },
  { name: "a TypeError", make: () => new TypeError(TEXT) },
  { name: "a text", make: () => TEXT },
  { name: "an object", make: () => ({ message: TEXT, detail: TEXT }) },
  { name: "nothing", make: () => undefined },
  { name: "a function", make: () => () => TEXT },
  { name: "an AggregateError", make: () => new AggregateError([new Error(TEXT)], TEXT) },
  { name: "a wrapped error of ours", make: () => new Error(TEXT, { cause: ours("RESOURCE_UNAVAILABLE").make() }) },
  { name: "an error with a circle of causes", make: circle },
  { name: "an error that says how it is shown", make: () => Object.assign(new Error(TEXT), { toJSON: () => TEXT }) },
  { name: "an error whose properties throw", make: throwing },
  raw("a failed statement of drizzle", { query: "select * from users", params: ["S3CR3T"] }),
  raw("a PostgresError", { code: "23505", severity: "ERROR", detail: TEXT, table_name: "clips_user", query: TEXT }),
  raw("a ReplyError of Redis", { command: { name: "set", args: ["S3CR3T", TEXT] } }),
  raw("an error that claims a status", {
    status: 500,
    statusCode: 500,
    expose: true,
    headers: { "set-token": "S3CR3T" },
  }),
  raw("an answer 404 of another HTTP service", { statusCode: 404, body: TEXT, headers: { "set-token": "S3CR3T" } }),
  raw("an answer of another HTTP service", { statusCode: 502, body: TEXT, headers: { "x-internal-trace": TEXT } }),
];

function circle(): Error {
  const error: Error = new Error(TEXT);
  error.cause = new Error(TEXT, { cause: error });
  return error;
}

function throwing(): Error {
  const get = (): never => {
    throw new Error(TEXT);
  };
  return Object.defineProperties(new Error(TEXT), { cause: { get }, code: { get }, details: { get } });
}

/**
 * Sixty and more errors that a handler may fail with: of drivers, of the system, of other services, of no shape at
 * all. A server that lets a handler throw each of them has to answer with a text in which {@link leaksIn} finds nothing.
 *
 * @example
 * ```ts
 * import { leakyErrors, leaksIn } from "@steward/testing";
 * const answers = leakyErrors().map(() => "something went wrong on our side");
 * console.log(answers.length >= 60, answers.flatMap(leaksIn)); // => true []
 * ```
 */
export function leakyErrors(): readonly LeakyError[] {
  return [
    ...Object.keys(CORE_CODES).map((code) => ours(code)),
    ...DRIVER_CODES.map((code) => ours(code)),
    ...["DATABASE_CONNECT_FAILED", "OVERLOADED"].map((code) => ours(code, { retryable: true, retryAfterMs: 1_500 })),
    ...SYSTEM_CODES.map((code) =>
      raw(code, { code, address: "10.11.12.13", hostname: "pg-3.corp.local", input: TEXT, path: "/srv/keys" }),
    ),
    ...[2, 3, 4, 5, 7, 8, 13, 14, 16].map(ofService),
    ...SHAPES,
  ];
}

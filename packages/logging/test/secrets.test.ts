import { Secret, StewardError } from "@steward/core";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import t from "tap";
import { LoggerManager } from "../src/index.ts";
import { memoryLog } from "../src/testing.ts";

const destination = memoryLog();
const options = { destination, redact: ["iban"], show: ["nextPageToken"], level: "trace" } as const;
const manager = await new LoggerManager(options).start();
const log = manager.client;
t.teardown(() => manager.stop());

let planted = 0;
/** A secret that no other line has. */
const plant = (): string => `pl4nted-${String((planted += 1)).padStart(2, "0")}-k9`;
const secrets: string[] = [];
const S = (): string => secrets[secrets.push(plant()) - 1] ?? "";

function withQuery(): Error {
  const query = `select * from users where token = '${S()}'`;
  const params = [S()];
  return Object.assign(new Error(`Failed query: ${query}\nparams: ${params.join()}`), { query, params });
}

function request(): IncomingMessage {
  const made = new IncomingMessage(new Socket());
  Object.assign(made, { method: "GET", url: `/x?access_token=${S()}`, headers: { authorization: `Bearer ${S()}` } });
  return made;
}

/** Each is a place in which secrets have been found in the logs of others. */
const PLACES: Readonly<Record<string, () => void>> = {
  "a Secret in a field": () => log.info({ dsn: new Secret(S()) }),
  "a Secret in text": () => log.info("connects with %s", new Secret(S())),
  "a field by its name": () => log.info({ password: S() }),
  "a field deep inside": () => log.info({ user: { login: [{ api_key: S() }] } }),
  "an object behind a secret name": () => log.info({ credentials: { user: "ada", pass: S() } }),
  "a name of one's own": () => log.info({ customerIban: S() }),
  headers: () => log.info({ headers: { Cookie: `sid=${S()}`, "Set-Cookie": [S()], "x-api-key": S() } }),
  "a URL in a field": () => log.info({ url: `postgres://clips:${S()}@db/clips` }),
  "a URL in text": () => log.info(`connects to redis://:${S()}@cache:6379`),
  "a URL object": () => log.info({ url: new URL(`https://u:${S()}@host/`) }),
  "a query of a URL": () => log.warn(`GET https://host/x?page=1&token=${S()} failed`),
  "a header in text": () => log.info(`sent authorization: Basic ${S()}`),
  "JSON in text": () => log.info(`body was {"password": "${S()}"}`),
  "the message of an error": () => log.error(new Error(`cannot reach amqp://guest:${S()}@mq`)),
  "a statement and its parameters": () => log.error(withQuery()),
  "the cause of an error": () =>
    log.error({ err: new StewardError("OVERLOADED", "x: no", { cause: withQuery() }) }, "no"),
  "all of several errors": () => log.error(new AggregateError([withQuery(), new Error(`password=${S()}`)], "both")),
  "what a driver hangs on an error": () =>
    log.error(Object.assign(new Error("401"), { config: { headers: { authorization: S() } }, parameters: [S()] })),
  "a value that Postgres repeats": () =>
    log.error(Object.assign(new Error(`invalid input syntax for type uuid: "${S()}"`), { code: "22P02" })),
  "arguments that Redis repeats": () =>
    log.error(new Error(`ERR unknown command 'HSETX', with args beginning with: '${S()}' `)),
  "an error in text": () => log.warn("failed: %s", withQuery()),
  "bindings of a child": () => log.child({ token: S(), at: `https://u:${S()}@h` }).info("child"),
  "bindings that are set": () => {
    const child = log.child({});
    child.setBindings({ secret: S() });
    child.info("set");
  },
  "what a serializer of a child makes": () =>
    log
      .child({}, { serializers: { user: () => ({ password: S() }), err: (error: unknown) => error } })
      .error({ user: 1, err: withQuery() }),
  "what a formatter of a child makes": () =>
    log.child({}, { formatters: { log: () => ({ password: S() }) } }).info({ a: 1 }),
  "a request": () => log.info(request()),
  "a request in a field": () => log.info({ req: request() }),
  bytes: () => log.info({ key: Buffer.from(S()) }),
  "a name after thousands of others": () => {
    for (let i = 0; i < 2_500; i++) log.info({ [`field${i}`]: i }, `line ${i}`);
    log.info({ field1: { list: [[{ "x-api-key": S() }]] } }, "line 1");
  },
  "a text after thousands of others": () => {
    for (let i = 0; i < 2_500; i++) log.info(`line ${i} of many`);
    log.info({ field: "plain" }, `line 1 of many, token=${S()}`);
  },
  "a plain object that calls itself a request": () =>
    log.info({ method: "GET", url: "/", headers: { cookie: S() }, socket: { remoteAddress: "::1" } }),
  "an object without a prototype": () => log.info(Object.assign(Object.create(null), { password: S() })),
  "a class with toJSON": () => log.info({ at: new (class { toJSON() { return { password: S() }; } })() }), // prettier-ignore
  "a counted storm": () => {
    const [password, url] = [S(), `redis://:${S()}@h`];
    for (let i = 0; i < 12; i++) log.error({ password, url }, "equal");
  },
};

for (const [place, write] of Object.entries(PLACES))
  t.test(`no secret is written from ${place}`, (t) => {
    const before = destination.lines.length;
    const from = secrets.length;
    write();
    t.ok(destination.lines.length > before, "a line was written");
    t.ok(secrets.length > from, "a secret was planted");
    const encoded = secrets.flatMap((secret) => [secret, Buffer.from(secret).toString("base64")]);
    t.same(
      encoded.filter((secret) => destination.text.includes(secret)),
      [],
    );
    t.end();
  });

t.test("what needs no masking is written as it stands, and is not touched", (t) => {
  const before = destination.lines.length;
  const fields = { user: "ada", ms: 3, list: [1, { deep: null, no: undefined }], yes: true };
  log.info(Object.freeze(fields), "plain");
  log.child({ req: 1 }, { serializers: { req: (value: unknown) => ({ value, token: S() }) } }).info({ req: 2 });
  const [line, child] = destination.lines.slice(before);
  t.match(line, { user: "ada", ms: 3, list: [1, { deep: null }], yes: true, msg: "plain" });
  t.match(child, { req: { value: 2, token: "[secret]" } });
  t.end();
});

t.test("what is no secret stays readable", (t) => {
  const before = destination.lines.length;
  log.info({ nextPageToken: "p2", tokens: 3, url: "https://host/x?page=2", at: new Date(0), big: 2n }, "plain %d", 7);
  t.match(destination.lines.slice(before), [
    {
      nextPageToken: "p2",
      tokens: 3,
      url: "https://host/x?page=2",
      at: "1970-01-01T00:00:00.000Z",
      big: "2",
      msg: "plain 7",
    },
  ]);
  t.end();
});

t.test("an error keeps its code, resource, cause and the place where it was made", (t) => {
  const before = destination.lines.length;
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  log.error(new StewardError("RESOURCE_UNAVAILABLE", "db: down", { resource: "db", retryAfterMs: 50, cause }));
  const [line] = destination.lines.slice(before);
  t.match(line, {
    msg: "db: down",
    err: { type: "StewardError", code: "RESOURCE_UNAVAILABLE", resource: "db", retryAfterMs: 50 },
  });
  const { err } = line as { err: { stack: string; cause: { code: string } } };
  t.equal(err.cause.code, "ECONNREFUSED");
  t.match(err.stack, /^ {4}at .*secrets\.test/);
  t.end();
});

t.test("a request and a response of Node are the little that a log needs", (t) => {
  const before = destination.lines.length;
  const made = request();
  log.info({ req: made, res: new ServerResponse(made) });
  const { req, res } = destination.lines[before] ?? {};
  t.same({ req, res }, { req: { method: "GET", url: "/x?access_token=[secret]" }, res: { statusCode: 200 } });
  t.end();
});

t.test("what cannot be read, has no end or is very large is written all the same", (t) => {
  const before = destination.lines.length;
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  const broken = { get x(): never { throw new Error("no"); } }; // prettier-ignore
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const long = new Error("a");
  long.cause = long;
  log.error({ loop, broken, revoked: revoked.proxy, list: new Array(100_000).fill(1) }, "odd");
  log.error(long);
  log.info(JSON.parse('{"__proto__":{"password":"x"},"kept":1}'), "a prototype");
  t.match(destination.lines.at(-1), { kept: 1, msg: "a prototype" });
  log.info(null, "null");
  log.info(undefined, "undefined");
  log.error(revoked.proxy, "a proxy");
  t.match(destination.lines.at(-1), { fields: "[unreadable]", msg: "a proxy" });
  log.info({ n: 1 }, "%o", revoked.proxy);
  t.match(destination.lines.at(-1), { n: 1 });
  t.equal(destination.lines.length, before + 7);
  t.ok(JSON.stringify(destination.lines.slice(before)).length < 100_000);
  t.end();
});

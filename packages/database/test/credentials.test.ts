import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { inspect } from "node:util";
import { CHANNELS, type ExposureEvent } from "@steward/core";
import { parsePostgresUrl } from "@steward/core/driver";
import { machineAddress, testCertificates } from "@steward/testing";
import t from "tap";
import { DatabasePoolManager, type DatabaseInput } from "../src/index.ts";

const PASSWORD = "S3CR3T-pw";
const { authority, serverCert, serverKey } = testCertificates;

type Test = Pick<typeof t, "teardown" | "notMatch">;

/** A server that asks for the password in clear, as an attacker would, over TLS where it is asked for that. */
async function thief(t: Test): Promise<{ port: number; got: string[] }> {
  const got: string[] = [];
  const ask = (socket: Socket): void => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
      socket.once("data", (answer) => {
        got.push(`${socket instanceof TLSSocket ? "tls" : "plain"} ${answer.subarray(5, -1).toString()}`);
        socket.destroy();
      });
    });
  };
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (first) => {
      if (first.readUInt32BE(4) !== 80_877_103) return void (ask(socket), socket.emit("data", first));
      socket.write("S");
      ask(new TLSSocket(socket, { isServer: true, cert: serverCert, key: serverKey }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, () => resolve()));
  t.teardown(() => void server.close());
  return { port: (server.address() as AddressInfo).port, got };
}

interface Outcome {
  /** What the server got of the password. */
  readonly got: string;
  readonly message: string;
  readonly announced: readonly string[];
  readonly exposed: unknown;
}

async function outcomeOf(t: Test, host: string, query: string, options: DatabaseInput): Promise<Outcome> {
  const { port, got } = await thief(t);
  const announced: string[] = [];
  const heard = (event: unknown): void => void announced.push((event as ExposureEvent).message);
  subscribe(CHANNELS.exposure, heard);
  const url = `postgres://app:${PASSWORD}@${host}:${port}/d${query}`;
  try {
    const manager = new DatabasePoolManager({ url, ...options }, { name: "db" });
    const error: unknown = await manager.start().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    await manager.start().catch(() => {});
    t.notMatch(inspect([error, manager, manager.stats()], { depth: 20, showHidden: true }), PASSWORD);
    t.notMatch(JSON.stringify(error), PASSWORD);
    const plain = (text: string): string => text.replaceAll(String(port), "PORT");
    return {
      got: got[0] ?? "nothing",
      message: plain((error as Error).message),
      announced: announced.map(plain),
      exposed: manager.stats()["exposed"],
    };
  } catch (error) {
    t.notMatch(inspect(error, { depth: 20, showHidden: true }), PASSWORD);
    return { got: got[0] ?? "nothing", message: (error as Error).message, announced, exposed: undefined };
  } finally {
    unsubscribe(CHANNELS.exposure, heard);
  }
}

const CLEAR = `plain ${PASSWORD}`;
const SEALED = `tls ${PASSWORD}`;
const UNTRUSTED = /the certificate of the server is not trusted: name its authority by tls: \{ ca \}.*tls: "no-verify"/;
const MACHINE = machineAddress() ?? "127.0.0.1";
const clearly = (host: string): string => `db: the password to ${host}:PORT goes in plain text; set tls: true`;
const blindly = (host: string): string =>
  `db: the password to ${host}:PORT goes to a server whose certificate is not verified; set tls: { ca }, with the authority of the server's certificate`;

/** What becomes of a password: where it goes, by the URL's `sslmode` and the option `tls`. The README has it as a table. */
const TABLE: readonly (readonly [
  host: string,
  query: string,
  options: DatabaseInput,
  got: string,
  message: RegExp,
  announced: readonly string[],
])[] = [
  ["127.0.0.1", "", {}, CLEAR, /no connection to/, []],
  ["localhost", "?sslmode=disable", {}, CLEAR, /no connection to/, []],
  [MACHINE, "", {}, CLEAR, /no connection to/, [clearly(MACHINE)]],
  [MACHINE, "?sslmode=disable", {}, CLEAR, /no connection to/, [clearly(MACHINE)]],
  [MACHINE, "?ssl=false", {}, CLEAR, /no connection to/, [clearly(MACHINE)]],
  ...["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full", "ssl=true", "sslmode=1", "sslrootcert=system"].map(
    (query) => [MACHINE, `?${query}`, {}, "nothing", UNTRUSTED, []] as const,
  ),
  ["127.0.0.1", "?sslmode=require", {}, "nothing", UNTRUSTED, []],
  ["127.0.0.1", "", { tls: true }, "nothing", UNTRUSTED, []],
  ["127.0.0.1", "?sslmode=require", { tls: { ca: authority } }, SEALED, /no connection to/, []],
  ["localhost", "?sslmode=verify-full", { tls: { ca: authority } }, SEALED, /no connection to/, []],
  [MACHINE, "?sslmode=require", { tls: { ca: authority } }, "nothing", UNTRUSTED, []],
  [MACHINE, "?sslmode=verify-ca", { tls: { ca: authority } }, "nothing", UNTRUSTED, []],
  [MACHINE, "", { tls: { ca: authority, servername: "localhost" } }, SEALED, /no connection to/, []],
  ["127.0.0.1", "?sslmode=no-verify", {}, SEALED, /no connection to/, []],
  [MACHINE, "?sslmode=no-verify", {}, SEALED, /no connection to/, [blindly(MACHINE)]],
  [MACHINE, "?sslmode=require", { tls: "no-verify" }, SEALED, /no connection to/, [blindly(MACHINE)]],
  [MACHINE, "", { tls: { rejectUnauthorized: false } }, SEALED, /no connection to/, [blindly(MACHINE)]],
  ["127.0.0.1", "?sslmode=prefer", {}, "nothing", /db\.url: has sslmode=prefer, which .* turns off: say require/, []],
  ["127.0.0.1", "?sslmode=allow", {}, "nothing", /db\.url: has sslmode=allow/, []],
  ["127.0.0.1", "?sslmode=requir", {}, "nothing", /unknown sslmode; known: disable, require/, []],
  ["127.0.0.1", "?sslrootcert=/ca.pem", {}, "nothing", /has sslrootcert, a file: .*tls: \{ ca/, []],
  ["127.0.0.1", "?sslmode=require", { tls: false }, "nothing", /asks for TLS, which tls: false contradicts/, []],
];

for (const [host, query, options, got, message, announced] of TABLE)
  t.test(`a password for ${host}/d${query} ${inspect(options).slice(0, 60).replaceAll("\n", "")}`, async (t) => {
    const outcome = await outcomeOf(t, host, query, options);
    t.equal(outcome.got, got);
    t.match(outcome.message, message);
    t.same(outcome.announced, announced, "once, at the first start");
    t.equal((outcome.exposed as string[] | undefined)?.length, announced.length === 0 ? undefined : 1, "in stats too");
  });

t.test("nothing in the environment turns the check of a certificate off", async (t) => {
  const before = { ...process.env };
  t.teardown(() => void (process.env = before));
  Object.assign(process.env, { NODE_TLS_REJECT_UNAUTHORIZED: "0", PGSSL: "require", NODE_NO_WARNINGS: "1" });
  t.equal((await outcomeOf(t, "127.0.0.1", "?sslmode=require", {})).got, "nothing");
  t.equal((await outcomeOf(t, "127.0.0.1", "", { tls: true })).got, "nothing");
  process.env["PGSSLMODE"] = "verify-full";
  t.equal((await outcomeOf(t, "127.0.0.1", "", {})).got, "nothing");
  t.equal((await outcomeOf(t, "127.0.0.1", "?sslmode=disable", {})).got, CLEAR, "the URL is nearer");
});

t.test("a URL that is wrong is refused in words without any part of it, whoever gives it", async (t) => {
  const wrong = [
    `postgres://u:${PASSWORD}@127.0.0.1:notaport/d`,
    `postgres://u:${PASSWORD}@127.0.0.1:99999/d`,
    `postgres://u:${PASSWORD}%zz@h/d`,
    `postgres://u:${PASSWORD}/x@h/d`,
    `postgres://u:${PASSWORD}#x@h/d`,
    `postgres://u:${PASSWORD}@[::1/d`,
    `postgres://u:${PASSWORD}@h/d?target_session_attrs=${PASSWORD}`,
    `postgres://h/d?password=${PASSWORD}`,
    `mysql://u:${PASSWORD}@h/d`,
    `u:${PASSWORD}@h`,
  ];
  for (const url of wrong)
    for (const options of [{ url }, { url: () => url }, { url: "postgres://h", replicas: [url] }]) {
      const error: unknown = await Promise.resolve()
        .then(() => new DatabasePoolManager(options, { name: "db" }).start())
        .catch((reason: unknown) => reason);
      if (options.url !== "postgres://h" || !("code" in Object(error)))
        t.match(error, { code: /OPTIONS_INVALID/ }, url);
      t.notMatch(inspect(error, { depth: 20, showHidden: true }), PASSWORD);
    }
});

t.test("URLs are read as Postgres reads them", (t) => {
  t.match(parsePostgresUrl("postgres://a%40b:p%3Aw%2F@h:1,[::1]:2,k/my%20db?application_name=x"), {
    hosts: [
      { host: "h", port: 1 },
      { host: "::1", port: 2 },
      { host: "k", port: undefined },
    ],
    user: "a@b",
    password: "p:w/",
    database: "my db",
    tls: undefined,
    parameters: { application_name: "x" },
  });
  t.match(parsePostgresUrl("postgresql://"), { hosts: [], user: undefined, database: undefined });
  t.match(parsePostgresUrl("postgres://u:a:b@c@h"), { hosts: [{ host: "h" }], user: "u", password: "a:b@c" });
  t.match(parsePostgresUrl("postgres://u@%2Frun%2Fpg/d"), { hosts: [{ host: "/run/pg" }] });
  t.match(parsePostgresUrl("postgres:///d?host=/run/pg"), { hosts: [{ host: "/run/pg" }], database: "d" });
  t.end();
});

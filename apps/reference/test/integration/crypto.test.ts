import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { sql } from "drizzle-orm";
import t from "tap";
import { CertificateAuthority, type IssuedCertificate } from "@steward/crypto/pki";
import type { Problem } from "@steward/fastify";
import { postgresForTests } from "@steward/launchers";
import { crypto } from "../../src/crypto/backend.ts";
import { db } from "../../src/resources/stores.ts";
import { auth } from "../../src/users/auth.ts";
import { audit, type OpenSecret, type SecretEntry } from "../../src/secrets/secrets.ts";
import { eventually, Folder, LocalClips } from "./clips.ts";

const database = await postgresForTests();

const ENV = { DATABASE_URL: database.url };
const DATA = Buffer.from("4111 1111 1111 1111").toString("base64");
const AAD = Buffer.from("user 7").toString("base64");
// Two instances for all tests that need no settings of their own.
const one = await LocalClips.start(ENV);
const two = await LocalClips.start(ENV);
t.teardown(async () => {
  for (const each of [one, two, database]) await each[Symbol.asyncDispose]();
});

interface Answer {
  readonly backend: string;
  readonly keyId: number;
  readonly message: string;
  readonly data: string;
  readonly signature: string;
  readonly valid: boolean;
  readonly primary: boolean;
}

const ROTATE = "/admin/keys/rotate";

async function call(app: LocalClips, action: string, payload: object, given?: Record<string, string>) {
  const headers = given ?? (await app.admin);
  const url = action.startsWith("/") ? action : `/api/v1/crypto/${action}`;
  const response = await app.server.app.inject({ method: "POST", url, payload, headers });
  return { status: response.statusCode, headers: response.headers, body: response.json<Answer & Problem>() };
}

async function encrypt(app: LocalClips, backend = "aes", aad?: string): Promise<Answer> {
  const { status, body } = await call(app, "encrypt", { backend, data: DATA, ...(aad === undefined ? {} : { aad }) });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body;
}

async function rotate(app: LocalClips, backend: string): Promise<number> {
  const { status, body } = await call(app, ROTATE, { backend, immediate: true });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body.keyId;
}

function changed(message: string, at: number): string {
  const bytes = Buffer.from(message, "base64");
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return bytes.toString("base64");
}

t.test("every backend reads what it wrote, or verifies what it signed", async (t) => {
  for (const backend of ["aes", "cbc", "rsa"]) {
    const { message, keyId } = await encrypt(one, backend, AAD);
    t.notMatch(Buffer.from(message, "base64").toString("latin1"), "4111");
    t.strictSame((await call(one, "decrypt", { backend, message, aad: AAD })).body, { backend, keyId, data: DATA });
  }
  for (const backend of ["tokens", "signing"]) {
    const signed = await call(one, "sign", { backend, data: DATA });
    const { signature, keyId } = signed.body;
    const verified = await call(one, "verify", { backend, data: DATA, signature });
    t.strictSame(verified.body, { backend, keyId, valid: true });
  }
  const large = randomBytes(1024 * 1024).toString("base64");
  const { body } = await call(one, "encrypt", { backend: "rsa", data: large });
  t.equal((await call(one, "decrypt", { backend: "rsa", message: body.message })).body.data, large, "of any length");
  t.equal((await call(one, "encrypt", { backend: "aes", data: `${large}${large}` })).status, 413);
});

t.test("what was changed is refused in one and the same way, whatever was changed", async (t) => {
  for (const backend of ["aes", "cbc", "rsa"]) {
    const { message } = await encrypt(one, backend, AAD);
    const attempts = [
      { backend, message: changed(message, -1), aad: AAD },
      { backend, message: changed(message, 8), aad: AAD },
      { backend, message },
      { backend, message, aad: DATA },
    ];
    const refusals = await Promise.all(attempts.map((attempt) => call(one, "decrypt", attempt)));
    for (const { status, body, headers } of refusals) {
      t.equal(status, 400);
      t.equal(headers["content-type"], "application/problem+json; charset=utf-8");
      t.equal(body.code, "CRYPTO_AUTHENTICATION_FAILED");
    }
    t.equal(new Set(refusals.map(({ body }) => body.detail)).size, 1);
  }
  for (const backend of ["tokens", "signing"]) {
    const { signature } = (await call(one, "sign", { backend, data: DATA })).body;
    for (const attempt of [
      { backend, data: DATA, signature: changed(signature, -1) },
      { backend, data: AAD, signature },
    ])
      t.match(await call(one, "verify", attempt), { status: 400, body: { code: "CRYPTO_AUTHENTICATION_FAILED" } });
  }
});

t.test("a key that is unknown, disabled or destroyed is told apart, for its id stands in the message", async (t) => {
  const { message, keyId } = await encrypt(one);
  const decrypt = (text: string) => call(one, "decrypt", { backend: "aes", message: text });
  t.match(await decrypt(changed(message, 3)), { status: 404, body: { code: "CRYPTO_KEY_UNKNOWN" } });
  await rotate(one, "aes");
  const keys = one.running.get(crypto).keys("aes");
  await keys.disable(keyId);
  t.match(await decrypt(message), { status: 409, body: { code: "CRYPTO_KEY_DISABLED" } });
  await keys.destroy(keyId);
  t.match(await decrypt(message), { status: 410, body: { code: "CRYPTO_KEY_DESTROYED" } });
});

t.test("input that is not exactly right is 422, and says where", async (t) => {
  const message = "String should be base64 with padding, without spaces";
  for (const [action, body, path] of [
    ["encrypt", { data: "aGVsbG8" }, "body.data"],
    ["encrypt", { data: "aGVsbG9=" }, "body.data"],
    ["encrypt", { data: "aGVs bG8=" }, "body.data"],
    ["encrypt", { data: DATA, aad: "_-==" }, "body.aad"],
    ["decrypt", { message: "%" }, "body.message"],
  ] as const)
    t.match(await call(one, action, { backend: "aes", ...body }), {
      status: 422,
      body: { errors: [{ path, code: "base64", message }] },
    });
  for (const [action, body] of [
    ["encrypt", { backend: "aes" }],
    ["encrypt", { backend: 7, data: DATA }],
    ["encrypt", { backend: "aes", data: DATA, key: DATA }],
    ["verify", { backend: "tokens", data: DATA }],
  ] as const)
    t.match(await call(one, action, body), { status: 422, body: { detail: "the input is not valid" } });
  for (const text of ["", "AgE=", randomBytes(40).fill(9, 0, 1).toString("base64")])
    t.match(await call(one, "decrypt", { backend: "aes", message: text }), {
      status: 400,
      body: { code: "CRYPTO_MESSAGE_INVALID" },
    });
});

t.test(
  "a backend that does not exist is 404, one for something else 400, and keysets of Clips' own do not exist",
  async (t) => {
    for (const backend of ["nobody", "secrets", "lookup", "access", "refresh", "__proto__", "toString"])
      for (const [action, body] of [
        ["encrypt", { data: DATA }],
        ["decrypt", { message: DATA }],
        ["sign", { data: DATA }],
        ["verify", { data: DATA, signature: DATA }],
      ] as const)
        t.match(await call(one, action, { ...body, backend }), {
          status: 404,
          body: { code: "CRYPTO_KEYSET_UNKNOWN" },
        });
    const misused = { status: 400, body: { code: "CRYPTO_KEYSET_MISUSED" } };
    t.match(await call(one, "encrypt", { backend: "tokens", data: DATA }), misused);
    t.match(await call(one, "sign", { backend: "aes", data: DATA }), misused);
  },
);

t.test("keys rotate while two instances run: both read old and new, and new messages have the new key", async (t) => {
  for (const backend of ["aes", "rsa"]) {
    const before = await encrypt(one, backend);
    const keyId = await rotate(one, backend);
    const after = await encrypt(one, backend);
    t.not(before.keyId, keyId);
    t.equal(after.keyId, keyId);
    for (const app of [one, two])
      for (const { message } of [before, after])
        t.equal((await call(app, "decrypt", { backend, message })).body.data, DATA);
    t.equal((await encrypt(two, backend)).keyId, keyId, "the other instance writes with it too");
  }
  const { signature } = (await call(two, "sign", { backend: "tokens", data: DATA })).body;
  await rotate(one, "tokens");
  t.equal((await call(one, "verify", { backend: "tokens", data: DATA, signature })).status, 200);
  await using later = await LocalClips.start(ENV);
  t.equal(
    (await call(later, "verify", { backend: "tokens", data: DATA, signature })).status,
    200,
    "after a restart too",
  );
});

t.test("a new key first only reads, unless it is wanted at once", async (t) => {
  const before = await encrypt(one, "cbc");
  const { body } = await call(one, ROTATE, { backend: "cbc" });
  t.equal(body.primary, false);
  t.not(body.keyId, before.keyId);
  t.equal((await encrypt(one, "cbc")).keyId, before.keyId);
  await rotate(one, "cbc");
  t.equal((await encrypt(one, "cbc")).keyId, body.keyId);
});

t.test("keys are used by editors, rotated by administrators alone, and by no one who is not signed in", async (t) => {
  const { keyId } = await encrypt(one);
  const input = { backend: "aes", immediate: true };
  const { authorization } = await one.admin;
  for (const wrong of ["", "Bearer", "Bearer wrong", authorization.replace("Bearer", "Basic"), `${authorization}x`]) {
    const refused = await call(one, ROTATE, input, { authorization: wrong });
    t.equal(refused.status, 401);
    t.match(refused.headers["www-authenticate"], /^Bearer/);
  }
  const [viewer, editor] = [await one.as("viewer"), await one.as("editor")];
  const data = { backend: "aes", data: DATA };
  const statuses = await Promise.all([
    call(one, ROTATE, input, editor),
    call(one, "encrypt", data, editor),
    call(one, "encrypt", data, viewer),
    call(one, "encrypt", data, {}),
  ]);
  t.strictSame(
    statuses.map(({ status }) => status),
    [403, 200, 403, 401],
  );
  t.equal((await encrypt(one)).keyId, keyId);
  t.equal((await call(one, ROTATE, { backend: "nobody" })).status, 404);
});

const SECRETS = "/api/v1/secrets";

async function store(app: LocalClips, name: string, value: string): Promise<SecretEntry> {
  const payload = { name, value };
  const added = await app.server.app.inject({ method: "POST", url: SECRETS, payload, headers: await app.admin });
  if (added.statusCode !== 201) throw new Error(added.body);
  return added.json<SecretEntry>();
}

async function open(app: LocalClips, { id }: SecretEntry): Promise<OpenSecret> {
  return (await app.server.app.inject({ url: `${SECRETS}/${id}`, headers: await app.admin })).json<OpenSecret>();
}

async function named(app: LocalClips, name: string): Promise<string[]> {
  const found = await app.server.app.inject({ url: SECRETS, query: { name }, headers: await app.admin });
  const { items } = found.json<{ items: SecretEntry[] }>();
  return items.map(({ id }) => id);
}

async function valued(app: LocalClips, value: string): Promise<string[]> {
  const request = { method: "POST", url: `${SECRETS}/search`, payload: { value }, headers: await app.admin } as const;
  const found = await app.server.app.inject(request);
  return found.json<{ items: SecretEntry[] }>().items.map(({ id }) => id);
}

t.test("secrets are found by name and value, also by another instance and after their keys have rotated", async (t) => {
  const [name, value] = [`mail ${randomBytes(4).toString("hex")}`, `hush ${randomBytes(4).toString("hex")}`];
  const before = await store(one, name, value);
  t.notOk("value" in before);
  t.match(await open(two, before), { name, value });
  await rotate(one, "secrets");
  await rotate(one, "lookup");
  const after = await store(one, name, value);
  t.not(after.keyId, before.keyId);
  for (const secret of [before, after]) t.match(await open(one, secret), { id: secret.id, name, value });
  t.strictSame(await named(one, name), [after.id, before.id]);
  t.strictSame(await valued(one, value), [after.id, before.id]);
  t.strictSame(await named(one, value), [], "a name is not a value");
  await two.running.get(crypto).keys("lookup").refresh();
  t.strictSame(await named(two, name), [after.id, before.id]);
  const headers = await one.admin;
  const list = await one.server.app.inject({ url: SECRETS, headers });
  t.equal(list.headers["cache-control"], "no-store");
  t.notMatch(list.body, value);
  const nobody = `${SECRETS}/00000000-0000-4000-8000-000000000000`;
  t.equal((await one.server.app.inject({ url: nobody, headers })).statusCode, 404);
  t.equal((await one.server.app.inject({ method: "POST", url: SECRETS, payload: { name }, headers })).statusCode, 422);
  const viewer = await one.as("viewer");
  t.strictSame(
    await Promise.all(
      [SECRETS, `${SECRETS}/${after.id}`].map(
        async (url) => (await one.server.app.inject({ url, headers: viewer })).statusCode,
      ),
    ),
    [200, 403],
    "a viewer sees which there are, and not what is in them",
  );
});

t.test("who changed keys and who read a secret is kept, in entries that verify", async (t) => {
  const secret = await store(one, "read by whom", "x");
  await open(one, secret);
  await rotate(one, "tokens");
  const client = one.running.get(db);
  const recorded = async () => {
    const found = await client.execute<{ readonly line: string }>(
      sql`select concat_ws(' ', actor, action, target) as line from clips_audit`,
    );
    return found.map(({ line }) => line);
  };
  const me = (await one.running.get(auth).verify((await one.admin).authorization.slice(7))).subject;
  const wanted = [`${me} secret.read secret:${secret.id}`, `${me} key.added keyset:crypto/tokens`];
  t.ok(await eventually(async () => (await recorded()).filter((line) => wanted.includes(line)).length >= 2));
  t.match(await one.running.get(audit).verify(), { intact: true, problems: [] });
});

t.test("the table tells nothing of a secret, and a value moved to another row does not open", async (t) => {
  const first = await store(one, "first name", "first value");
  const second = await store(one, "second name", "second value");
  const client = one.running.get(db);
  const rows = await client.execute(
    sql`select encode(name || name_hash || value || value_hash, 'escape') as all from secrets`,
  );
  t.notMatch(JSON.stringify(rows), /first|second/);
  await client.execute(
    sql`update secrets set value = (select value from secrets where id = ${first.id}) where id = ${second.id}`,
  );
  const moved = await one.server.app.inject({ url: `${SECRETS}/${second.id}`, headers: await one.admin });
  t.equal(moved.statusCode, 500, "the store is wrong, not the caller");
  t.notMatch(moved.body, /first value|CRYPTO/);
  await client.execute(sql`delete from secrets where id in (${first.id}, ${second.id})`);
});

t.test("the key that wraps the others is made once, for its owner only, and read again", async (t) => {
  await using folder = await Folder.make();
  const own = `clips_${process.pid}`;
  const client = one.running.get(db);
  await client.execute(sql.raw(`create database ${own}`));
  t.teardown(() => client.execute(sql.raw(`drop database ${own} with (force)`)));
  const url = Object.assign(new URL(database.url), { pathname: `/${own}` });
  const env = { DATABASE_URL: url.href, DATA_DIR: folder.path, CLIPS_KEK: "" };
  const file = join(folder.path, "kek");
  const secret = await (async () => {
    const started = await Promise.all([LocalClips.start(env), LocalClips.start(env)]);
    await using _one = started[0];
    await using two = started[1];
    t.equal((await stat(file)).mode & 0o777, 0o600);
    const works = async (app: LocalClips) =>
      (await call(app, "encrypt", { backend: "aes", data: DATA })).status === 200;
    for (const app of started)
      t.ok(await eventually(() => works(app)), "both may be the first, and have the same keys");
    return await store(two, "mail", "hush"); // before the two stop
  })();
  const key = await readFile(file, "utf8");
  t.equal(Buffer.from(key, "base64").length, 32);
  {
    await using again = await LocalClips.start(env);
    t.match(await open(again, secret), { value: "hush" });
    await using named = await LocalClips.start({ ...env, DATA_DIR: "/nowhere", CLIPS_KEK: key.trim() });
    t.match(await open(named, secret), { value: "hush" }, "from the environment it is the same");
  }
  {
    const other = randomBytes(32).toString("base64");
    await using without = await LocalClips.start({ ...env, CLIPS_KEK: other });
    const headers = { authorization: "Bearer x" };
    t.equal((await call(without, "encrypt", { backend: "aes", data: DATA }, headers)).status, 503);
    t.equal((await without.server.app.inject("/api/v1/videos")).statusCode, 200, "the rest works");
    t.equal((await without.server.app.inject("/readyz")).statusCode, 200);
    const health = async () => {
      await without.running.probe();
      return (await without.server.app.inject("/health/resources/crypto")).json<{ status: string }>();
    };
    // A probe that meets it in the middle of its next attempt to start learns nothing.
    await eventually(async () => (await health()).status === "unhealthy");
    t.match(await health(), {
      status: "unhealthy",
      reason: /is wrapped by "key:[0-9a-f]+", which is not among those given/,
    });
    await using both = await LocalClips.start({ ...env, CLIPS_KEK: `${other},${key.trim()}` });
    t.match(await open(both, secret), { value: "hush" }, "of several keys any unwraps");
  }
  await chmod(file, 0o644);
  await t.rejects(LocalClips.start(env), /kek can be read by others/);
  await chmod(file, 0o600);
  await writeFile(file, "short");
  await t.rejects(LocalClips.start(env), /does not hold a key of 32 bytes/);
});

t.test("/health/security shows the keys, what uses them, and the limits", async (t) => {
  const response = await one.server.app.inject("/health/security");
  t.equal(response.statusCode, 200);
  const { resources } = response.json<{ resources: { name: string; status: string }[] }>();
  t.strictSame(resources.map(({ name }) => name).sort(), ["audit", "auth", "crypto", "kek", "limiter", "secrets"]);
  t.ok(resources.every(({ status }) => status === "healthy"));
});

/** A TLS server that asks its callers for a certificate of `authority`, and tells them who they are. */
async function startMutual(authority: CertificateAuthority, { certificatePem, privateKeyPem }: IssuedCertificate) {
  const options = { ca: authority.certificatePem, cert: certificatePem, key: privateKeyPem, requestCert: true };
  const server = createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket; // the server is an HTTPS one
    response.end(`hello ${socket.getPeerCertificate().subject.CN}`);
  });
  server.on("tlsClientError", () => {}).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const origin = `https://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
  };
  return { origin, [Symbol.asyncDispose]: close };
}

for (const key of ["ecdsa-p256", "rsa-2048", "ed25519"] as const)
  t.test(`Clips and another service know each other by ${key} certificates of one authority`, async (t) => {
    await using folder = await Folder.make();
    const file = (name: string): string => join(folder.path, name);
    const authority = await CertificateAuthority.create({ commonName: "Clips CA", key });
    const client = await authority.issueClient("clips", { key });
    await Promise.all([
      writeFile(file("ca"), authority.certificatePem),
      writeFile(file("cert"), client.certificatePem),
      writeFile(file("key"), client.privateKeyPem),
    ]);
    await using upstream = await startMutual(authority, await authority.issueServer(["127.0.0.1"], { key }));
    const env = { ...ENV, ALLOWED_ORIGINS: upstream.origin, HTTP_CA_FILE: file("ca") };
    const get = (app: LocalClips) => app.server.app.inject({ url: "/api/data", query: { url: `${upstream.origin}/` } });
    await using app = await LocalClips.start({ ...env, HTTP_CERT_FILE: file("cert"), HTTP_KEY_FILE: file("key") });
    t.match((await get(app)).json(), { status: 200, body: "hello clips" });
    await using nobody = await LocalClips.start(env);
    t.equal((await get(nobody)).statusCode, 502, "who shows no certificate is not let in");
    const stranger = await CertificateAuthority.create({ commonName: "Clips CA", key });
    await writeFile(file("ca"), stranger.certificatePem);
    await using other = await LocalClips.start({ ...env, HTTP_CERT_FILE: file("cert"), HTTP_KEY_FILE: file("key") });
    t.equal((await get(other)).statusCode, 502, "a server of another authority of that name is not trusted");
  });

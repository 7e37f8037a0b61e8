import { once } from "node:events";
import { request } from "node:http";
import t from "tap";
import { postgresForTests } from "@steward/launchers";
import { until } from "@steward/testing";
import { WebSocket } from "ws";
import { mailServer } from "../../src/resources/mail.ts";
import { auth } from "../../src/users/auth.ts";
import { demoUser } from "../../src/users/demo.ts";
import { users } from "../../src/users/users.ts";
import { LocalClips } from "./clips.ts";

const database = await postgresForTests();
const one = await LocalClips.start({ DATABASE_URL: database.url });
const two = await LocalClips.start({ DATABASE_URL: database.url });
t.teardown(async () => {
  for (const each of [one, two, database]) await each[Symbol.asyncDispose]();
});

type Headers = Readonly<Record<string, string>>;

async function ask(
  app: LocalClips,
  method: string,
  path: string,
  headers: Headers = {},
  body?: object | URLSearchParams,
) {
  const json = { "content-type": "application/json" };
  const isForm = body instanceof URLSearchParams;
  const site = "cookie" in headers ? { "sec-fetch-site": "same-origin" } : {}; // as browsers say
  const answer = await fetch(app.url + path, {
    method,
    headers: { ...(body === undefined || isForm ? {} : json), ...site, ...headers },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    body: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>,
    cookies: answer.headers.getSetCookie().map((cookie) => cookie.split(";")[0] ?? ""),
  };
}

const PASSWORD = "correct horse battery";

t.test("the first start makes an administrator, whose password is shown once", async (t) => {
  const [first, second] = [one, two].map(({ running }) => running.get(demoUser));
  const unseen = () => {
    throw new Error("the process ends before anybody reads it");
  };
  await t.rejects(async () => first?.introduce(unseen), { message: /before anybody reads it/ });
  const shown: (readonly [login: string, password: string])[] = [];
  const introduce = (by: typeof first) => by?.introduce((login, password) => shown.push([login, password]));
  await Promise.all([first, second].map(introduce));
  await introduce(second);
  t.match(shown, [["demo", /^[\w-]{16}$/]]);
  const [, password = ""] = shown[0] ?? [];
  const form = new URLSearchParams({ username: "Demo", password });
  const { body } = await ask(two, "POST", "/token", {}, form);
  const headers = { authorization: `Bearer ${String(body["access_token"])}` };
  t.match(await ask(one, "GET", "/users/me", headers), { status: 200, body: { login: "demo", roles: ["admin"] } });
  const all = await ask(one, "GET", "/admin/users", headers);
  t.match(all.body, { items: [{ login: "demo" }] });
  t.notMatch(JSON.stringify(all.body), /passwordHash|scrypt|argon/);
});

t.test("who registers signs in with tokens or a cookie, at any instance, and may do what the role says", async (t) => {
  const credentials = { login: "Ada", password: PASSWORD };
  const added = await ask(one, "POST", "/register", {}, credentials);
  t.match(added, { status: 201, body: { login: "ada", roles: ["viewer"] } });
  t.equal((await ask(two, "POST", "/register", {}, { ...credentials, login: "aDA" })).status, 409);
  t.match(await ask(one, "POST", "/register", {}, { login: "bob", password: "bob" }), { status: 422 });

  const unknown = await ask(one, "POST", "/sign-in", {}, { ...credentials, login: "nobody" });
  t.match(unknown, { status: 401, body: { code: "AUTH_CREDENTIALS_INVALID" } });
  const signedIn = await ask(one, "POST", "/sign-in", {}, { ...credentials, login: "ada" });
  t.equal(signedIn.status, 200);
  const cookie = signedIn.cookies.join("; ");
  t.match(cookie, /^session-device=dv_.*; session=cs_|^session=cs_.*; session-device=dv_/);
  const me = await ask(two, "GET", "/users/me", { cookie });
  t.match(me, { status: 200, body: { login: "ada", permissions: ["account", "videos:upload", "secrets:list"] } });
  t.equal((await ask(two, "GET", "/users/me")).status, 401);

  const form = new URLSearchParams({ username: "ada", password: PASSWORD, scope: "secrets:list" });
  const { body: tokens } = await ask(two, "POST", "/token", {}, form);
  t.match(tokens, { token_type: "Bearer", expires_in: 600 });
  const narrow = { authorization: `Bearer ${String(tokens["access_token"])}` };
  t.equal((await ask(one, "GET", "/api/v1/secrets", narrow)).status, 200);
  t.equal((await ask(one, "GET", "/users/me/sessions", narrow)).status, 403, "it was made for something else");
  const next = new URLSearchParams({ refresh_token: String(tokens["refresh_token"]) });
  t.match(await ask(one, "POST", "/token/refresh", {}, next), { status: 200, body: { refresh_token: /^rt_/ } });

  const id = String(added.body["id"]);
  t.equal((await ask(one, "PATCH", `/admin/users/${id}`, { cookie }, { roles: ["admin"] })).status, 403);
  const admin = await one.admin;
  t.equal((await ask(one, "PATCH", `/admin/users/${id}`, admin, { roles: ["king"] })).status, 422);
  t.equal((await ask(one, "PATCH", `/admin/users/${id}`, admin, { roles: ["editor"] })).status, 200);
  t.match((await ask(two, "GET", "/users/me", { cookie })).body["permissions"], [
    "account",
    "videos:upload",
    "secrets:list",
    "secrets:read",
  ]);
  const { id: own } = (await ask(one, "GET", "/users/me", admin)).body;
  const resigned = await ask(one, "PATCH", `/admin/users/${String(own)}`, admin, { roles: [] });
  t.equal(resigned.status, 409, "one who may is always left");
  t.equal((await ask(one, "PATCH", `/admin/users/${id}`, admin, { isDisabled: true })).status, 200);
  for (const headers of [{ cookie }, narrow])
    t.ok([401, 403].includes((await ask(two, "GET", "/api/v1/secrets", headers)).status), "it holds everywhere");
  t.equal((await ask(two, "POST", "/sign-in", {}, { login: "ada", password: PASSWORD })).status, 401);
});

t.test("who registers with an address is greeted by a mail, after the answer", async (t) => {
  const user = { login: "dora", password: PASSWORD };
  const hostile = "dora@example.com\r\nBcc: eve@example.com";
  for (const email of [hostile, "dora", "<dora@example.com>"])
    t.equal((await ask(one, "POST", "/register", {}, { ...user, email })).status, 422);
  const { status, body } = await ask(one, "POST", "/register", {}, { ...user, email: "dora@example.com" });
  t.equal(status, 201);
  t.notMatch(body, { email: /./ }, "the address is not kept");
  const mails = one.running.get(mailServer)?.mails ?? [];
  await until(() => mails.length === 1, "the mail");
  t.match(mails[0], /To: dora <dora@example\.com>\r\nSubject: Welcome to Clips/);
});

t.test("users see where they are signed in, and sign out there, or everywhere", async (t) => {
  const user = await one.running.get(users).add("carol", "", ["viewer"]);
  const signIn = async (app: LocalClips, userAgent: string): Promise<Headers> => {
    const to = { subject: user?.id ?? "", scopes: ["*"], userAgent };
    return { cookie: `session=${(await app.running.get(auth).sessions.begin(to)).value}` };
  };
  const [home, work] = [await signIn(one, "home"), await signIn(two, "work")];
  const { body } = await ask(one, "GET", "/users/me/sessions", home);
  const items = body["items"] as readonly { id: string; userAgent: string; isThis: boolean }[];
  t.match(items, [
    { userAgent: "work", isThis: false },
    { userAgent: "home", isThis: true },
  ]);
  t.equal((await ask(one, "DELETE", `/users/me/sessions/${items[0]?.id}`, home)).status, 204);
  t.equal((await ask(two, "GET", "/users/me", work)).status, 401);
  t.equal((await ask(one, "DELETE", `/users/me/sessions/${items[0]?.id}`, home)).status, 404);
  const pair = await two.running.get(auth).issuePair({ subject: user?.id ?? "", scopes: ["*"] });
  const program = { authorization: `Bearer ${pair.accessToken}` };
  t.match((await ask(one, "GET", "/users/me/sessions", program)).body, {
    items: [
      { kind: "token", id: pair.session, isThis: true },
      { kind: "cookie", userAgent: "home", isThis: false },
    ],
  });
  t.equal((await ask(one, "DELETE", `/users/me/sessions/${pair.session}`, home)).status, 204);
  t.equal((await ask(one, "GET", "/users/me", program)).status, 401);
  const again = await signIn(two, "work");
  const socket = new WebSocket(`${two.url.replace("http", "ws")}/ws`, { headers: home });
  await once(socket, "open");
  const closed = once(socket, "close");
  t.equal((await ask(one, "POST", "/sign-out?everywhere=true", home)).status, 204);
  for (const headers of [home, again]) t.equal((await ask(two, "GET", "/users/me", headers)).status, 401);
  const [code] = await closed;
  t.equal(code, 4401, "a socket of the session is closed, at another instance too");
});

t.test("a program has a key of its own, which may do what its user chose and no more", async (t) => {
  const editor = await one.as("editor");
  const make = (scopes: string[], headers: Headers = editor) =>
    ask(one, "POST", "/users/me/api-keys", headers, { name: "CI", scopes });
  t.equal((await make(["users:write"])).status, 403);
  const { status, body } = await make(["secrets:list"]);
  t.equal(status, 201);
  const key = { authorization: `Bearer ${String(body["key"])}` };
  t.equal((await ask(two, "GET", "/api/v1/secrets", key)).status, 200);
  t.equal((await ask(two, "POST", "/api/v1/secrets/search", key, { value: "x" })).status, 403);
  t.equal((await make(["secrets:list"], key)).status, 403, "it makes no others");
  t.match((await ask(one, "GET", "/users/me/api-keys", editor)).body, { items: [{ name: "CI", id: body["id"] }] });
  t.equal((await ask(one, "DELETE", `/users/me/api-keys/${String(body["id"])}`, editor)).status, 204);
  t.equal((await ask(one, "GET", "/api/v1/secrets", key)).status, 401);
});

t.test("a page of another site can neither write nor read: its origin and its host are none of ours", async (t) => {
  const credentials = { login: "demo", password: "x" };
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "http://evil.example" }])
    t.match(await ask(one, "POST", "/sign-in", headers, credentials), { status: 403, body: { code: "CSRF_REJECTED" } });
  const statusFor = (host: string, path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const { port } = new URL(one.url);
      request({ port, path, headers: { host } }, ({ statusCode }) => resolve(statusCode))
        .on("error", reject)
        .end();
    });
  const { port } = new URL(one.url);
  for (const path of ["/", "/api/v1/videos", "/health/resources", "/metrics", "/openapi.json", "/nowhere"])
    t.equal(await statusFor(`evil.example:${port}`, path), 421, path);
  t.equal(await statusFor(`localhost:${port}`, "/api/v1/videos"), 200);
  t.equal(await statusFor(`127.0.0.1:${port}`, "/livez"), 200);
  const refusedWith = (host: string, origin: string) =>
    new Promise<string>((resolve) => {
      const socket = new WebSocket(`${one.url.replace("http", "ws")}/ws`, { headers: { host, origin } });
      socket.on("open", () => (socket.terminate(), resolve("open"))).on("error", ({ message }) => resolve(message));
    });
  t.match(await refusedWith(`evil.example:${port}`, `http://evil.example:${port}`), /403/);
  t.equal(await refusedWith(`localhost:${port}`, `http://localhost:${port}`), "open");
  await using named = await LocalClips.start({ DATABASE_URL: database.url, CLIPS_HOSTS: "clips.example" });
  const answer = (host: string) => named.server.app.inject({ url: "/livez", headers: { host } });
  t.equal((await answer("clips.example")).statusCode, 200);
  t.equal((await answer("evil.example")).statusCode, 421);
});

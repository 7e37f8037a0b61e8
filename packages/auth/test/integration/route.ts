import { request } from "node:http";
import { container } from "@steward/container";
import { currentContext, Guard, httpStatusOf, systemClock } from "@steward/core";
import { cryptoBackend } from "@steward/crypto";
import { resource } from "@steward/core";
import { RateLimiterManager } from "@steward/rate-limit";
import {
  boundSession,
  cookieSession,
  csrf,
  describe,
  from,
  permitted,
  principal,
  recent,
  sessionPrincipal,
  security,
  securityOf,
} from "@steward/server";
import { handler, serve } from "@steward/server/node";
import { until } from "@steward/testing";
import t from "tap";
import {
  authentication,
  memoryApiKeys,
  memoryFamilies,
  memorySessions,
  roles,
  SIGN_IN_POLICIES,
  type PasswordUser,
} from "../../src/index.ts";
import { signedIn, testAuthentication } from "../../src/testing.ts";
import { HeldKeys, TestBus } from "../make.ts";

t.test("a route asks who it is, and for scopes: 401, 403 and 200", async (t) => {
  const auth = testAuthentication();
  const me = principal(auth);
  const maybe = principal(auth, { name: "maybe", autoError: false });
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      {
        method: "GET",
        path: "/me",
        handler: handler({ me }, ({ me }) => ({ subject: me.subject, issuer: me.issuer })),
      },
      {
        method: "GET",
        path: "/maybe",
        handler: handler({ maybe }, ({ maybe }) => ({ subject: maybe?.subject ?? null })),
      },
      {
        method: "POST",
        path: "/videos",
        handler: handler({ me: security(me, ["videos:write"]) }, () => ({ by: currentContext()?.actor })),
      },
    ],
  });
  await using running = await container([web, auth]).start();
  const { url } = running.get(web);
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(url + path, { method, headers });

  const anonymous = await get("/me");
  t.strictSame([anonymous.status, anonymous.headers.get("www-authenticate")], [401, "Bearer"]);
  t.strictSame(await (await get("/maybe")).json(), { subject: null });

  const reader = await signedIn(running.get(auth), { subject: "ada", scopes: ["videos:read"] });
  const writer = await signedIn(running.get(auth), { subject: "bob", scopes: ["videos:read", "videos:write"] });
  t.strictSame(await (await get("/me", reader)).json(), { subject: "ada", issuer: "https://test.example" });
  t.equal((await get("/me", { authorization: reader.authorization.replace("Bearer", "bEARER") })).status, 200);
  const narrow = await get("/videos", reader, "POST");
  t.equal(narrow.status, 403);
  t.match(narrow.headers.get("www-authenticate"), /insufficient_scope.*videos:write/);
  t.strictSame(await (await get("/videos", writer, "POST")).json(), { by: "bob" });

  const bodies = new Set<string>();
  for (const authorization of [
    "Bearer nonsense",
    `${writer.authorization}x`,
    `Bearer ${writer.authorization.slice(-40)}`,
  ])
    for (const path of ["/me", "/maybe"]) {
      const refused = await get(path, { authorization });
      t.equal(refused.status, 401, `${path} ${authorization.slice(0, 20)}: a wrong token is not the same as none`);
      t.equal(refused.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
      const { requestId: _, ...body } = (await refused.json()) as Record<string, unknown>;
      bodies.add(JSON.stringify(body));
    }
  t.equal(bodies.size, 1);
  t.match([...bodies][0], /AUTH_TOKEN_INVALID/);
});

t.test(
  "a route asks for a permission, of tokens and API keys, and a role that is withdrawn is gone at once",
  async (t) => {
    const access = roles({ viewer: ["videos:read"], editor: { extends: ["viewer"], grants: ["videos:write"] } });
    const rolesOf = new Map([["ada", ["editor"]]]);
    const auth = testAuthentication("auth", { apiKeys: { store: memoryApiKeys() } });
    const member = resource("member", {
      lifetime: "request",
      needs: { me: principal(auth) },
      start: ({ me }) => access.principal(me, rolesOf.get(me.subject) ?? []),
    });
    const writer = security(member, ["videos:write"]);
    t.strictSame(securityOf(describe({ writer }).demands), [{ bearer: ["videos:write"] }], "it is in the document");
    const web = serve("web", {
      listen: () => ({ port: 0 }),
      routes: [
        { method: "POST", path: "/videos", handler: handler({ writer }, ({ writer }) => ({ by: writer.subject })) },
      ],
    });
    await using running = await container([web, auth]).start();
    const client = running.get(auth);
    const statusOf = async (authorization: string): Promise<number> =>
      (await fetch(`${running.get(web).url}/videos`, { method: "POST", headers: { authorization } })).status;
    const whole = await signedIn(client, { subject: "ada", scopes: ["*"] });
    const narrow = await signedIn(client, { subject: "ada", scopes: ["videos:read"] });
    const stranger = await signedIn(client, { subject: "eve", scopes: ["*", "videos:write"] });
    const { key } = await client.apiKeys.create({ subject: "ada", name: "CI", scopes: ["videos:write"] });
    t.strictSame(
      await Promise.all(
        [whole.authorization, narrow.authorization, stranger.authorization, `Bearer ${key}`].map(statusOf),
      ),
      [200, 403, 403, 200],
    );
    rolesOf.set("ada", ["viewer"]);
    t.strictSame([await statusOf(whole.authorization), await statusOf(`Bearer ${key}`)], [403, 403]);
  },
);

t.test("a client that goes while it is authenticated says nothing of the store", async (t) => {
  const guard = new Guard({ resource: "store", clock: systemClock });
  let isAsked = false;
  const frozen = (): Promise<never> => {
    isAsked = true;
    return new Promise(() => {});
  };
  const store = Object.assign(memoryApiKeys(), { find: () => guard.run(frozen) });
  const auth = testAuthentication("auth", { apiKeys: { store }, timeoutMs: 60_000 });
  const errors: unknown[] = [];
  const logged: unknown[] = [];
  const me = resource("me", {
    lifetime: "request",
    needs: { auth, bearer: from.header("x-key") },
    start: ({ auth, bearer }) =>
      auth.authenticate({ scheme: "bearer", value: bearer }).catch((error: unknown) => {
        errors.push(error);
        throw error;
      }),
  });
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    log: { error: (...line) => void logged.push(line) },
    routes: [{ method: "GET", path: "/me", handler: handler({ me }, ({ me }) => me.subject) }],
  });
  await using running = await container([web, auth]).start();
  const { key } = await running.get(auth).apiKeys.create({ subject: "ada", name: "CI" });
  const client = new AbortController();
  const answer = fetch(`${running.get(web).url}/me`, { headers: { "x-key": key }, signal: client.signal });
  await until(() => isAsked, "the store is asked");
  client.abort();
  await t.rejects(answer, { name: "AbortError" });
  await until(() => errors.length > 0, "the request has failed");
  t.match(errors, [{ code: "CALL_ABORTED" }]);
  t.equal(httpStatusOf(errors[0]), 499, "which is not logged as a failure of ours");
  t.strictSame(logged, []);
  t.match(running.stats(), { auth: { storeFailures: 0 } });
});

t.test("keys that are away are 503 with retry-after, and never 401", async (t) => {
  const keys = new HeldKeys();
  await keys.add("k1", "HS256");
  const auth = testAuthentication("auth", { keys });
  const me = principal(auth);
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [{ method: "GET", path: "/me", handler: handler({ me }, ({ me }) => me.subject) }],
  });
  await using running = await container([web, auth]).start();
  const headers = await signedIn(running.get(auth), { subject: "ada" });
  keys.broken = true;
  const away = await fetch(`${running.get(web).url}/me`, { headers });
  t.equal(away.status, 503);
  t.ok(Number(away.headers.get("retry-after")) > 0);
  t.match(await away.json(), { code: "AUTH_KEYS_UNAVAILABLE" });
  keys.broken = false;
  t.equal((await fetch(`${running.get(web).url}/me`, { headers })).status, 200);
});

for (const algorithm of ["token-hs256", "token-es256"] as const)
  t.test(
    `keys of the crypto package turn without an end to tokens, and a disabled one ends its own (${algorithm})`,
    async (t) => {
      const crypto = cryptoBackend("crypto", { keysets: { access: { algorithm } }, propagationMs: 0 });
      const auth = authentication("auth", {
        needs: { crypto },
        options: ({ crypto }) => ({ issuer: "https://a.example", audience: "a", keys: crypto.token("access") }),
      });
      await using running = await container([auth, crypto]).start();
      const client = running.get(auth);
      const control = running.get(crypto).keys("access");
      const before = await client.issue({ subject: "ada" });
      t.equal((await client.verify(before.accessToken)).subject, "ada");
      const old = (await running.get(crypto).token("access").signing()).kid;
      await control.rotate({ immediate: true });
      const after = await client.issue({ subject: "bob" });
      t.equal((await client.verify(before.accessToken)).subject, "ada");
      t.equal((await client.verify(after.accessToken)).subject, "bob");
      t.equal((await client.jwks()).keys.length, algorithm === "token-es256" ? 2 : 0);
      await control.disable(Number.parseInt(old, 16));
      await t.rejects(client.verify(before.accessToken), { code: "AUTH_TOKEN_INVALID" });
      t.equal((await client.verify(after.accessToken)).subject, "bob");
    },
  );

t.test("a sign-in with a password: the same bytes for unknown, wrong and disabled, and 429 in time", async (t) => {
  const parameters = { scheme: "scrypt", logN: 10, blockSize: 8, parallelism: 1 } as const;
  const crypto = cryptoBackend("crypto", {
    keysets: { access: { algorithm: "token-hs256" }, refresh: { algorithm: "hmac-sha256" } },
    propagationMs: 0,
    passwords: { parameters, allowWeak: true },
  });
  const limiter = new RateLimiterManager({ policies: SIGN_IN_POLICIES });
  await limiter.start();
  t.teardown(() => limiter.stop());
  const rows = new Map<string, PasswordUser>();
  const users = {
    find: async (id: string) => rows.get(id),
    findByLogin: async (login: string) => rows.get(login),
    savePasswordHash: async () => false,
  };
  const auth = authentication("auth", {
    needs: { crypto },
    options: ({ crypto }) => ({
      issuer: "https://a.example",
      audience: "a",
      keys: crypto.token("access"),
      refresh: { store: memoryFamilies(), mac: crypto.mac("refresh") },
      passwords: { users, hashing: crypto.passwords, limiter: limiter.client, mac: crypto.mac("refresh") },
    }),
  });
  const form = from.passwordForm();
  const [address, password] = [from.header("x-address"), from.query("password")];
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      {
        method: "POST",
        path: "/token",
        handler: handler({ auth, form, address }, async ({ auth, form, address }) => {
          const { accessToken } = await auth.signIn({ login: form.username, password: form.password, address });
          return { access_token: accessToken };
        }),
      },
      {
        method: "POST",
        path: "/hash",
        handler: handler({ auth, password }, ({ auth, password }) => auth.passwords.hash(password)),
      },
    ],
  });
  await using running = await container([web, auth, crypto]).start();
  const { url } = running.get(web);
  const RIGHT = "correct horse battery ä";
  const passwordHash = await running.get(auth).passwords.hash(RIGHT);
  rows.set("ada", { id: "ada", passwordHash });
  rows.set("off", { id: "off", passwordHash, isDisabled: true });
  rows.set("keyless", { id: "keyless", passwordHash: undefined });
  rows.set("damaged", { id: "damaged", passwordHash: "$2b$10$abc" });
  const post = (username: string, password: string, address: string) =>
    fetch(`${url}/token`, {
      method: "POST",
      headers: { "x-address": address },
      body: new URLSearchParams({ username, password }),
    });
  const answers = new Set<string>();
  for (const [i, [login, password]] of [
    ["nobody", RIGHT],
    ["ada", "wrong"],
    ["ada", "wrong ä"],
    ["off", RIGHT],
    ["keyless", RIGHT],
    ["damaged", RIGHT],
  ].entries()) {
    const answer = await post(login ?? "", password ?? "", `192.0.2.${i}`);
    const body = (await answer.text()).replace(/"requestId":"[^"]*"/, "");
    const headers = [...answer.headers].filter(([name]) => !["date", "x-request-id"].includes(name));
    answers.add(JSON.stringify([answer.status, headers, body]));
  }
  t.equal(answers.size, 1, [...answers].join("\n"));
  t.match([...answers][0], /^\[401.*AUTH_CREDENTIALS_INVALID/);
  t.equal((await post("ada", RIGHT, "192.0.2.9")).status, 200);
  for (let i = 0; i < 5; i++) await post("nobody", "wrong", "192.0.2.10");
  const limited = await post("nobody", "wrong", "192.0.2.10");
  t.equal(limited.status, 429);
  t.ok(Number(limited.headers.get("retry-after")) > 50);
  t.match(await limited.json(), { code: "AUTH_RATE_LIMITED" });
  const weak = await fetch(`${url}/hash?password=short`, { method: "POST" });
  t.equal(weak.status, 422);
  t.match(await weak.json(), { code: "AUTH_PASSWORD_REFUSED", detail: /at least 12 characters/ });
});

t.test(
  "a session of a cookie on a route: sign-in, scopes, fields, sign-out, and an outage that ends nothing",
  async (t) => {
    const inner = memorySessions();
    let isAway = false;
    const store = new Proxy(inner, {
      get: (target, name) =>
        isAway ? () => new Promise(() => {}) : (Reflect.get(target, name) as (typeof inner)["find"]).bind(target),
    });
    const auth = testAuthentication("auth", { sessions: { store }, timeoutMs: 200 });
    const session = cookieSession(auth, { secure: false, sameSite: "Strict" });
    const me = sessionPrincipal(session);
    t.strictSame(securityOf(describe({ me }).demands), [{ session: [] }], "it is in the document");
    const safe = { dependencies: [csrf()] };
    const web = serve("web", {
      listen: () => ({ port: 0 }),
      routes: [
        {
          method: "POST",
          path: "/in",
          handler: handler(
            { session },
            async ({ session }) => (await session.begin({ subject: "ada", scopes: ["read"] })).subject,
            safe,
          ),
        },
        {
          method: "POST",
          path: "/theme",
          handler: handler({ session }, ({ session }) => session.write({ theme: "dark" }).then(() => "kept"), safe),
        },
        {
          method: "GET",
          path: "/me",
          handler: handler({ me: security(me, ["read"]), session }, ({ me, session }) => ({
            subject: me.subject,
            theme: session.fields["theme"],
            by: currentContext()?.actor,
          })),
        },
        { method: "GET", path: "/admin", handler: handler({ me: security(me, ["admin"]) }, () => "in") },
        {
          method: "POST",
          path: "/out",
          handler: handler({ session }, ({ session }) => session.end().then(() => "out"), safe),
        },
      ],
    });
    await using running = await container([web, auth]).start();
    const { url } = running.get(web);
    const ask = (method: string, path: string, cookie = "", headers: Record<string, string> = {}) =>
      fetch(url + path, { method, headers: { ...(cookie === "" ? {} : { cookie }), ...headers } });
    const signIn = async (cookie = ""): Promise<string> => {
      const set =
        (await ask("POST", "/in", cookie, { "sec-fetch-site": "same-origin" })).headers.get("set-cookie") ?? "";
      t.match(
        set,
        /^session=cs_[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
        "not Secure on this machine",
      );
      return set.split(";")[0] ?? "";
    };
    const first = await signIn();
    const cookie = await signIn(first);
    const same = { "sec-fetch-site": "same-origin" };
    t.equal((await ask("GET", "/me", first)).status, 401, "the one before has ended");
    t.equal((await ask("POST", "/theme", cookie, { "sec-fetch-site": "cross-site" })).status, 403);
    t.equal((await ask("POST", "/theme", cookie, same)).status, 200);
    t.strictSame(await (await ask("GET", "/me", cookie)).json(), { subject: "ada", theme: "dark", by: "ada" });
    t.equal((await ask("GET", "/admin", cookie)).status, 403);
    isAway = true;
    for (const [method, path] of [
      ["GET", "/me"],
      ["POST", "/theme"],
      ["POST", "/out"],
    ] as const) {
      const away = await ask(method, path, cookie, same);
      t.strictSame([away.status, away.headers.get("set-cookie")], [503, null], path);
    }
    isAway = false;
    t.equal((await ask("GET", "/me", cookie)).status, 200);
    t.match((await ask("POST", "/out", cookie, same)).headers.get("set-cookie"), /^session=; Path=\/; Max-Age=0/);
    t.equal((await ask("POST", "/theme", cookie, same)).status, 401);
    t.equal((await ask("GET", "/me", cookie)).status, 401);
    const { port } = new URL(url);
    const elsewhere = await new Promise<number | undefined>((resolve) => {
      request({ port, path: "/me", headers: { host: "clips.example" } }, ({ statusCode }) => resolve(statusCode)).end();
    });
    t.equal(elsewhere, 500, "a cookie without Secure is for this machine");
  },
);

t.test("what is dangerous asks for a sign-in of a short time ago", async (t) => {
  const auth = testAuthentication("auth", { sessions: { store: memorySessions() } });
  const session = cookieSession(auth, { secure: false });
  const old = resource("old", { lifetime: "request", start: () => ({ authenticatedAtMs: Date.now() - 61_000 }) });
  const maybe = sessionPrincipal(session, { name: "maybe", autoError: false });
  const sure = (who: Parameters<typeof recent>[0]) => handler({ who: recent(who, { withinMs: 60_000 }) }, () => "done");
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      { method: "GET", path: "/session", handler: sure(sessionPrincipal(session) as never) },
      { method: "GET", path: "/maybe", handler: sure(maybe as never) },
      { method: "GET", path: "/bearer", handler: sure(principal(auth) as never) },
      { method: "GET", path: "/old", handler: sure(old as never) },
    ],
  });
  await using running = await container([web, auth]).start();
  const { value } = await running.get(auth).sessions.begin({ subject: "ada" });
  const bearer = await signedIn(running.get(auth), { subject: "ada" });
  const [now, early] = await Promise.all(
    [0, 61_000].map((ms) => signedIn(running.get(auth), { subject: "ada", authenticatedAtMs: Date.now() - ms })),
  );
  const ask = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
    const { status, headers: given } = await fetch(running.get(web).url + path, { headers });
    return `${status} ${given.get("www-authenticate") ?? ""}`;
  };
  const again = '401 Bearer error="insufficient_user_authentication", max_age="60"';
  t.equal(await ask("/session", { cookie: `session=${value}` }), "200 ");
  t.equal(await ask("/session"), "401 Session");
  t.equal(await ask("/maybe"), "401 Session");
  t.equal(await ask("/bearer", { ...bearer }), again, "a token of no session does not say when");
  t.equal(await ask("/bearer", { ...now }), "200 ");
  t.equal(await ask("/bearer", { ...early }), again);
  t.equal(await ask("/old"), again);
});

t.test("what belongs to a session of a container ends with the session of a cookie, on every instance", async (t) => {
  const options = { sessions: { store: memorySessions() }, bus: new TestBus() };
  const released: string[] = [];
  const instance = (name: string) => {
    const auth = testAuthentication("auth", options);
    const session = cookieSession(auth, { secure: "elsewhere" });
    const cart = resource("cart", {
      lifetime: "session",
      async *start() {
        try {
          yield { seen: new Set<string>() };
        } finally {
          released.push(name);
        }
      },
    });
    const web = serve("web", {
      listen: () => ({ port: 0 }),
      session: boundSession(auth, session),
      routes: [
        {
          method: "GET",
          path: "/cart",
          handler: handler({ cart, me: sessionPrincipal(session) }, ({ cart }) => cart.seen.add(name).size),
        },
        {
          method: "POST",
          path: "/out",
          handler: handler({ session }, ({ session }) => session.end().then(() => "out")),
        },
      ],
    });
    return { auth, web, container: container([web, auth]) };
  };
  const [a, b] = [instance("a"), instance("b")];
  await using first = await a.container.start();
  await using second = await b.container.start();
  const begin = async (subject: string) => `session=${(await first.get(a.auth).sessions.begin({ subject })).value}`;
  const [ada, bob, eve, eva] = [await begin("ada"), await begin("bob"), await begin("eve"), await begin("eva")];
  const [here, there] = [first.get(a.web).url, second.get(b.web).url];
  const look = async (url: string, cookie: string) => (await fetch(`${url}/cart`, { headers: { cookie } })).status;
  for (const url of [here, there]) for (const cookie of [ada, bob, eve]) t.equal(await look(url, cookie), 200);
  await fetch(`${here}/out`, { method: "POST", headers: { cookie: ada } });
  await until(() => released.length === 2, "both have ended ada's");
  t.strictSame([...released].sort(), ["a", "b"]);
  await second.get(b.auth).logoutEverywhere("bob");
  await until(() => released.length === 4, "both have ended bob's");
  t.strictSame([await look(here, ada), await look(there, bob), await look(here, eve)], [401, 401, 200]);
  t.equal(released.length, 4, "others go on");
  const afar = { host: "clips.example", cookie: `__Host-${await begin("zoe")}` };
  const cleared = await new Promise<unknown>((resolve) => {
    const { port } = new URL(here);
    const to = { port, path: "/out", method: "POST", headers: afar };
    request(to, ({ headers }) => resolve(headers["set-cookie"])).end();
  });
  t.match(cleared, [/^__Host-session=; Path=\/; Max-Age=0; .*Secure/], "Secure, but for this machine");
  for (const url of [here, there]) t.equal(await look(url, eva), 200);
  await Promise.all([first.restart(a.auth), second.restart(b.auth)]);
  await fetch(`${here}/out`, { method: "POST", headers: { cookie: eva } });
  await until(() => released.length === 6, "both have ended eva's after their authentication was restarted");
  await second.restart(b.auth);
  await first.get(a.auth).logoutEverywhere("eve");
  await until(() => released.length === 8, "and after one of them was restarted once more");
});

t.test(
  "a permission is asked for with its object: one's own is 200, another's 403 or 404, and a missing one 404",
  async (t) => {
    const access = roles(
      { viewer: ["videos:read"], editor: { extends: ["viewer"], grants: ["videos:delete"] } },
      { policies: { "videos:delete": (me, video: { readonly ownerId: string }) => video.ownerId === me.subject } },
    );
    const auth = testAuthentication();
    const member = resource("member", {
      lifetime: "request",
      needs: { me: principal(auth) },
      start: ({ me }) => access.principal(me, [me.subject === "eve" ? "viewer" : "editor"]),
    });
    const owners = new Map([["1", "ada"]]);
    const video = resource("video", {
      lifetime: "request",
      needs: { id: from.path("id") },
      start: ({ id }) => (owners.has(id) ? { ownerId: owners.get(id) ?? "" } : undefined),
    });
    const remover = permitted(member, access, "videos:delete", { object: video });
    const hidden = permitted(member, access, "videos:delete", { object: video, as: 404 });
    t.strictSame(securityOf(describe({ remover }).demands), [{ bearer: ["videos:delete"] }], "it is in the document");
    t.match(describe({ hidden }).refusals, [{ status: 404 }]);
    const answer = handler({ remover }, ({ remover }) => ({ by: remover.subject }));
    const web = serve("web", {
      listen: () => ({ port: 0 }),
      routes: [
        { method: "DELETE", path: "/videos/:id", handler: answer },
        { method: "DELETE", path: "/hidden/:id", handler: handler({ hidden }, () => "gone") },
        {
          method: "GET",
          path: "/videos",
          handler: handler({ me: permitted(member, access, "videos:read") }, () => "all"),
        },
      ],
    });
    await using running = await container([web, auth]).start();
    const { url } = running.get(web);
    const ask = async (subject: string, method: string, path: string): Promise<string> => {
      const headers = subject === "" ? {} : await signedIn(running.get(auth), { subject, scopes: ["*"] });
      const { status } = await fetch(url + path, { method, headers });
      return `${subject} ${status}`;
    };
    t.strictSame(await Promise.all(["ada", "bob", "eve", ""].map((who) => ask(who, "DELETE", "/videos/1"))), [
      "ada 200",
      "bob 403",
      "eve 403",
      " 401",
    ]);
    t.strictSame(await Promise.all(["ada", "bob", "eve"].map((who) => ask(who, "DELETE", "/hidden/1"))), [
      "ada 200",
      "bob 404",
      "eve 403",
    ]);
    t.equal(await ask("ada", "DELETE", "/videos/2"), "ada 404");
    t.equal(await ask("eve", "GET", "/videos"), "eve 200");
    // @ts-expect-error a permission that is misspelt does not compile
    t.throws(() => permitted(member, access, "videos:wirte"), { code: "OPTIONS_INVALID" });
    // @ts-expect-error and no object that the policy does not know
    permitted(member, access, "videos:delete", { object: member });
  },
);

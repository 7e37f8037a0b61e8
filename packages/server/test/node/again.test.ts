import { existsSync } from "node:fs";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { trackHandles } from "@steward/testing";
import t from "tap";
import { cookieSession, HttpError, memoryIdempotency, principal, sessionPrincipal } from "../../src/index.ts";
import { from, handler, serve } from "../../src/node/index.ts";

const handles = trackHandles();

t.test("serve: a request that is sent again is done once, refusals included", async (t) => {
  let done = 0;
  const idempotency = { store: memoryIdempotency() };
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      {
        method: "POST",
        path: "/payments",
        handler: handler(
          { amount: from.body("amount", { type: "integer" }), reply: from.reply },
          ({ amount, reply }) => {
            done++;
            if (amount < 0) throw new HttpError(402, "no");
            if (amount === 0) throw new Error("ours");
            reply.statusCode = 201;
            reply.setHeader("location", "/1");
            return { amount };
          },
          { idempotency },
        ),
      },
    ],
  });
  await using running = await container([web]).start();
  const { url } = running.get(web);
  const pay = async (amount: number, key: string) => {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    const answer = await fetch(`${url}/payments`, { method: "POST", headers, body: String(amount) });
    const { location, "idempotency-replayed": again } = Object.fromEntries(answer.headers) as Record<string, string>;
    return [answer.status, await answer.text(), location, again, done];
  };
  t.strictSame(await pay(5, "a"), [201, '{"amount":5}', "/1", undefined, 1]);
  t.strictSame(await pay(5, "a"), [201, '{"amount":5}', "/1", "true", 1]);
  t.equal((await pay(6, "a"))[0], 422);
  t.strictSame([(await pay(-1, "b")).at(0), (await pay(-1, "b")).slice(3)], [402, ["true", 2]]);
  t.strictSame([(await pay(0, "c")).at(0), (await pay(0, "c")).slice(3)], [500, [undefined, 4]]);
});

t.test("serve: of cookies too, no one gets the answer to another's request", async (t) => {
  const principalOf = (subject: string) => ({ subject, scopes: new Set<string>(), session: undefined });
  const nothing = async (): Promise<never> => Promise.reject(new Error("no route asks for it"));
  const auth = resource("auth", {
    start: () => ({
      authenticate: async ({ value }: { readonly value: string }) => principalOf(value),
      sessions: {
        begin: nothing,
        signIn: nothing,
        find: async (value: string) => ({ principal: principalOf(value), fields: {} }),
        write: nothing,
        end: nothing,
      },
    }),
  });
  const options = { idempotency: { store: memoryIdempotency() } };
  const [session, other] = [
    cookieSession(auth, { secure: "elsewhere" }),
    cookieSession(auth, { secure: false, name: "o" }),
  ];
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      {
        method: "POST",
        path: "/either",
        handler: handler({ me: principal(auth, { session }) }, ({ me }) => me.subject, options),
      },
      {
        method: "POST",
        path: "/cookie",
        handler: handler({ me: sessionPrincipal(session) }, ({ me }) => me.subject, options),
      },
      {
        method: "POST",
        path: "/plain",
        handler: handler({ session: other }, ({ session }) => session.who?.subject, options),
      },
    ],
  });
  await using running = await container([web, auth]).start();
  const ask = async (path: string, cookie: string) => {
    const headers = { cookie, "idempotency-key": path.slice(1) };
    const answer = await fetch(running.get(web).url + path, { method: "POST", headers });
    return [await answer.text(), answer.headers.get("idempotency-replayed")];
  };
  for (const [path, name] of [
    ["/either", "session"],
    ["/cookie", "session"],
    ["/plain", "o"],
  ] as const) {
    t.strictSame(await ask(path, `${name}=ada`), ["ada", null], path);
    t.strictSame(await ask(path, `${name}=bob`), ["bob", null], path);
    t.strictSame(await ask(path, `theme=dark; ${name}=ada`), ["ada", "true"], path);
  }
});

t.test("serve: files go to disk, and are gone with the request", async (t) => {
  let path = "";
  const web = serve("web", {
    listen: () => ({ port: 0 }),
    routes: [
      {
        method: "POST",
        path: "/",
        handler: handler(
          { clip: from.file("clip", { stream: "disk" }), small: from.files("small"), title: from.form("title") },
          ({ clip, small, title }) => {
            path = clip.path;
            return {
              isThere: existsSync(path),
              bytes: clip.bytes,
              small: small.map(({ filename }) => filename),
              title,
            };
          },
        ),
      },
    ],
    forms: { maxFileBytes: 1_000_000 },
  });
  {
    await using running = await container([web]).start();
    const form = new FormData();
    form.append("title", "one");
    form.append("clip", new Blob(["x".repeat(900_000)]), "clip.bin");
    for (const name of ["a", "b"]) form.append("small", new Blob([name]), name);
    const { url } = running.get(web);
    const answer = await fetch(url, { method: "POST", body: form });
    t.strictSame(await answer.json(), { isThere: true, bytes: 900_000, small: ["a", "b"], title: "one" });
    form.append("clip", new Blob(["x".repeat(1_000_001)]), "clip.bin");
    t.equal((await fetch(url, { method: "POST", body: form })).status, 413);
  }
  t.notOk(existsSync(path));
});

t.teardown(() => handles.assertNoLeaks());

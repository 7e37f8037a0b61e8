import { resource, StewardError, type Principal } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import type { Ask } from "../client.ts";
import type { ServerCase, World } from "../world.ts";

/** Sessions in memory, as a keeper has them. */
class Keeper {
  readonly subjects = new Map<string, string>();
  readonly replaced: (string | undefined)[] = [];
  readonly devices: (string | undefined)[] = [];
  isAway = false;
  #count = 0;

  begin = async ({ subject, replaces }: { readonly subject: string; readonly replaces?: string }) => {
    this.replaced.push(replaces);
    this.#count++;
    this.subjects.set(`v${this.#count}`, subject);
    return { value: `v${this.#count}`, maxAgeMs: 3_600_000 };
  };
  signIn = async (as: { readonly subject: string; readonly device?: string }) => {
    this.devices.push(as.device);
    return { ...(await this.begin(as)), device: as.device ?? "new" };
  };
  find = async (value: string): Promise<{ principal: Principal; fields: Record<string, string> } | undefined> => {
    if (this.isAway) throw new StewardError("AUTH_STORE_UNAVAILABLE", "it is away", { retryable: true });
    const subject = this.subjects.get(value);
    return subject === undefined
      ? undefined
      : { principal: { subject, scopes: new Set(), session: undefined }, fields: {} };
  };
  write = async (): Promise<void> => {};
  end = async (value: string): Promise<void> => void this.subjects.delete(value);
}

/** The need that a suite's server has of a session, with what it gives. */
interface Session {
  readonly who: Principal | null;
  readonly csrfToken: string | undefined;
  begin(to: { readonly subject: string }): Promise<unknown>;
  signIn(as: { readonly subject: string }): Promise<unknown>;
  end(): Promise<void>;
}

function sessionOf({ adapter }: World, keeper: Keeper): readonly [session: AnyDefinition, auth: AnyDefinition] {
  const auth = resource("auth", { start: () => ({ sessions: keeper }) });
  return [adapter.cookieSession(auth as never), auth as AnyDefinition]; // no one asks for its value
}

const SITE = "sec-fetch-site";
const BEARER = { authorization: "Bearer x" };
const COOKIE = { cookie: "a=1; __Host-session=v1" };

/** Whose request it is, and whether a page of another site may have made it. */
function cellsOf(token: string): readonly (readonly [sent: Ask["headers"], status: 200 | 403])[] {
  return [
    [{}, 200],
    [{ [SITE]: "same-origin", ...COOKIE }, 200],
    [{ [SITE]: "none", ...COOKIE }, 200],
    [{ [SITE]: "same-site", ...COOKIE }, 403],
    [{ [SITE]: "cross-site", ...COOKIE }, 403],
    [{ [SITE]: "same-origin, cross-site", ...COOKIE }, 403],
    [{ [SITE]: "cross-site" }, 403], // a sign-in is protected too
    [{ [SITE]: "cross-site", origin: "http://127.0.0.1" }, 403],
    [{ [SITE]: "cross-site", "x-csrf-token": token, ...COOKIE }, 403],
    [{ [SITE]: "cross-site", ...BEARER }, 200],
    [{ [SITE]: "cross-site", ...BEARER, ...COOKIE }, 403],
    [{ [SITE]: "cross-site", authorization: "Basic eDp5" }, 403],
    [{ [SITE]: "cross-site", origin: "https://admin.example", ...COOKIE }, 200],
    [{ origin: "http://127.0.0.1", ...COOKIE }, 200],
    [{ origin: "http://127.0.0.1:81", ...COOKIE }, 403],
    [{ origin: "http://127.0.0.1.evil.example", ...COOKIE }, 403],
    [{ origin: "https://admin.example.evil.example", ...COOKIE }, 403],
    [{ origin: "null", ...COOKIE }, 403],
    [{ ...COOKIE }, 403],
    [{ ...COOKIE, "x-csrf-token": `${token.slice(0, -1)}~` }, 403],
    [{ ...COOKIE, "x-csrf-token": "" }, 403],
    [{ cookie: "__Host-session=v2", "x-csrf-token": token }, 403],
    [{ ...COOKIE, "x-csrf-token": token }, 200],
    [{ cookie: "a=1" }, 200],
  ];
}

/** Who is signed in by a cookie, and what other sites may not make a browser do. */
export const sessionCases: readonly ServerCase[] = [
  {
    name: "keeps a session in a cookie that no script and no other site gets at, which turns at sign-in and goes at sign-out",
    async run(world) {
      const { adapter, assert } = world;
      const keeper = new Keeper();
      const [session, auth] = sessionOf(world, keeper);
      const who = adapter.sessionPrincipal(session as never);
      const begin = async ({ session }: { session: Session }) => {
        await session.begin({ subject: "ada" });
        return session.who?.subject;
      };
      const end = async ({ session }: { session: Session }) => {
        await session.end();
        return String(session.who);
      };
      const up = await world.up(
        [
          { method: "POST", path: "/in", needs: { session }, answer: begin },
          { method: "POST", path: "/out", needs: { session }, answer: end },
          { method: "GET", path: "/me", needs: { who }, answer: ({ who }: { who: Principal }) => who.subject },
        ],
        {},
        [auth],
      );
      const first = await up.ask("/in", { method: "POST", headers: { cookie: "__Host-session=planted" } });
      assert.strictEqual(first.text, "ada");
      const attributes = "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure";
      assert.strictEqual(first.headers["set-cookie"], `__Host-session=v1; ${attributes}`);
      assert.strictEqual(first.headers["cache-control"], "no-store");
      const second = await up.ask("/in", { method: "POST", headers: COOKIE });
      assert.strictEqual(second.headers["set-cookie"], `__Host-session=v2; ${attributes}`);
      assert.strictEqual(keeper.replaced.join(), "planted,v1", "the one that was shown ends");
      const me = (cookie: string) => up.ask("/me", { headers: { cookie } });
      assert.strictEqual((await me("__Host-session=v2")).text, "ada");
      for (const cookie of ["__Host-session=v9", "session=v2", "a=1"]) {
        const refused = await me(cookie);
        assert.strictEqual(`${refused.status} ${refused.headers["www-authenticate"]}`, "401 Session", cookie);
      }
      keeper.isAway = true;
      const away = await me("__Host-session=v2");
      assert.strictEqual(away.status, 503);
      assert.strictEqual(away.headers["set-cookie"], undefined, "an outage takes no cookie away");
      keeper.isAway = false;
      const out = await up.ask("/out", { method: "POST", headers: { cookie: "__Host-session=v2" } });
      assert.strictEqual(out.text, "null");
      assert.strictEqual(out.headers["set-cookie"], `__Host-session=; ${attributes.replace("3600", "0")}`);
      assert.strictEqual((await me("__Host-session=v2")).status, 401);
      await up.stop();
    },
  },
  {
    name: "knows who makes a request by a bearer or by a session, and keeps the mark of a device that signs in",
    async run(world) {
      const { adapter, assert } = world;
      const keeper = new Keeper();
      const authenticate = async ({ value }: { readonly value: string }): Promise<Principal> => {
        if (value !== "good") throw new StewardError("AUTH_TOKEN_INVALID", "it is not valid");
        return { subject: "bob", scopes: new Set(["read"]), session: undefined };
      };
      const auth = resource("auth", { start: () => ({ sessions: keeper, authenticate }) });
      const session = adapter.cookieSession(auth as never);
      const me = adapter.principal(auth as never, { session: session as never });
      const signIn = ({ session }: { session: Session }) => session.signIn({ subject: "ada" }).then(() => "in");
      const up = await world.up(
        [
          { method: "POST", path: "/in", needs: { session }, answer: signIn },
          { method: "GET", path: "/me", needs: { me }, answer: ({ me }: { me: Principal }) => me.subject },
          {
            method: "GET",
            path: "/read",
            needs: { me: adapter.security(me as never, ["read"]) },
            answer: () => "read",
          },
        ],
        {},
        [auth],
      );
      for (const device of ["", "; __Host-session-device=old"])
        await up.ask("/in", { method: "POST", headers: { cookie: `a=1${device}` } });
      assert.strictEqual(keeper.devices.join(), ",old");
      const asked = async (path: string, headers: Ask["headers"] = {}): Promise<string> => {
        const { status, text, headers: given } = await up.ask(path, { headers });
        return status === 200 ? text : `${status} ${given["www-authenticate"] ?? ""}`;
      };
      const good = { authorization: "Bearer good" };
      assert.strictEqual(await asked("/me"), "401 Bearer");
      assert.strictEqual(await asked("/me", COOKIE), "ada");
      assert.strictEqual(await asked("/me", good), "bob");
      assert.strictEqual(await asked("/me", { ...good, ...COOKIE }), "bob");
      assert.strictEqual(await asked("/me", { ...BEARER, ...COOKIE }), '401 Bearer error="invalid_token"');
      assert.strictEqual(await asked("/me", { cookie: "__Host-session=v9" }), "401 Bearer");
      assert.strictEqual(await asked("/read", good), "read");
      assert.strictEqual((await asked("/read", COOKIE)).slice(0, 3), "403");
      await up.stop();
    },
  },
  {
    name: "answers for its own hosts, for this machine and for addresses, and for no name that somebody has pointed here",
    async run(world) {
      const { adapter, assert } = world;
      const body = adapter.from.body("body");
      const answer = () => "secret";
      const routes = [
        { method: "GET", path: "/page", needs: {}, answer },
        { method: "POST", path: "/page", needs: { body }, answer },
      ] as const;
      const up = await world.up(routes, { hosts: ["api.example"] });
      const open = await world.up(routes);
      const names = [
        "evil.example",
        "api.example.evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "[::1",
        "",
      ];
      for (const host of names) {
        for (const path of ["/page", "/livez", "/nowhere"]) {
          const refused = await up.ask(path, { headers: { host } });
          const isName = URL.canParse(`http://${host}`); // else a framework may refuse it by itself
          assert.strictEqual(isName ? refused.status : refused.status >= 400, isName ? 421 : true, `${host} ${path}`);
          assert.strictEqual(refused.text.includes("secret"), false);
        }
        if (URL.canParse(`http://${host}`))
          assert.strictEqual((await open.ask("/page", { headers: { host } })).text, "secret");
      }
      const posted = await up.ask("/page", { method: "POST", headers: { host: "evil.example" }, body: "{" });
      assert.strictEqual(posted.status, 421, "before its body is looked at");
      for (const host of ["api.example", "API.example:8080", "localhost", "localhost:3000", "10.0.0.7:80", "[::1]:80"])
        assert.strictEqual((await up.ask("/page", { headers: { host } })).text, "secret", host);
      await up.stop();
      await open.stop();
    },
  },
  {
    name: "refuses what a page of another site makes a browser send, and nothing else",
    async run(world) {
      const { adapter, assert } = world;
      const keeper = new Keeper();
      const [session, auth] = sessionOf(world, keeper);
      const csrf = adapter.csrf({ origins: ["https://admin.example"] });
      let done = 0;
      const act = () => String(++done);
      const up = await world.up(
        [
          { method: "POST", path: "/act", needs: { csrf }, answer: act },
          { method: "GET", path: "/look", needs: { csrf }, answer: () => "seen" },
          {
            method: "GET",
            path: "/page",
            needs: { session },
            answer: ({ session }: { session: Session }) => session.csrfToken ?? "none",
          },
        ],
        {},
        [auth],
      );
      await keeper.begin({ subject: "ada" });
      assert.strictEqual((await up.ask("/page")).text, "none");
      const { text: token } = await up.ask("/page", { headers: COOKIE });
      const cells = cellsOf(token);
      for (const [headers = {}, status] of cells) {
        const answer = await up.ask("/act", { method: "POST", headers });
        const isIn = answer.status === 200 || answer.status === 201; // as a framework answers a POST
        assert.strictEqual(isIn ? 200 : answer.status, status, JSON.stringify(headers));
        assert.strictEqual((await up.ask("/look", { headers })).status, 200, "what changes nothing is let through");
      }
      assert.strictEqual(done, cells.filter(([, status]) => status === 200).length, "no handler ran for another");
      await up.stop();
    },
  },
];

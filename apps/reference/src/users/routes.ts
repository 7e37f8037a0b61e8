import type { TokenPair } from "@steward/auth";
import { current } from "@steward/core";
import { from, handler, HttpError, rateLimit, by } from "@steward/fastify";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { limiter, tokenLimit } from "../resources/limits.ts";
import { mail, welcome } from "../resources/mail.ts";
import { access } from "./access.ts";
import { auth, me, permitted, session } from "./auth.ts";
import { shown, users } from "./users.ts";

const tags = ["users"];
const object = { type: "object", additionalProperties: false } as const;
const password = { type: "string", maxLength: 1_024, format: "password" } as const;
const login = {
  type: "string",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$",
  description: "3 to 32 of A-Z a-z 0-9 . _ -",
} as const;

const email = {
  type: "string",
  maxLength: 254,
  pattern: '^[^\\s@<>",;:()]+@[^\\s@<>",;:()]+$',
  description: "where a mail greets them; it is not kept",
} as const;

const newUser = from.body("user", {
  ...object,
  required: ["login", "password"],
  properties: { login, password, email },
});
const credentials = from.body("credentials", {
  ...object,
  required: ["login", "password"],
  properties: { login: { type: "string", maxLength: 320 }, password },
});
const refreshToken = from.form("refresh_token", { type: "string", maxLength: 300 });
const newKey = from.body("key", {
  ...object,
  required: ["name", "scopes"],
  properties: {
    name: {
      type: "string",
      minLength: 1,
      maxLength: 100,
      pattern: "^[^\\u0000]*$",
      description: "text without U+0000",
    },
    scopes: { type: "array", maxItems: 50, items: { type: "string", enum: [...access.permissions] } },
  },
});
const id = from.path("id", { type: "string", maxLength: 100 });

const limit = rateLimit(limiter, "register", { by: by.address });
const EVERYTHING = ["*"]; // roles say what it is
/** A key or a token that was made for something else does not manage the account of its user. */
const owner = permitted("account");

/** What a sign-in has to know of its client. */
function clientOf({ ip, headers }: FastifyRequest) {
  return { address: ip, userAgent: headers["user-agent"] };
}

/** A pair of tokens as OAuth2 has it. */
function asOAuth2({ accessToken, refreshToken, expiresInSeconds }: TokenPair): object {
  return { access_token: accessToken, token_type: "Bearer", expires_in: expiresInSeconds, refresh_token: refreshToken };
}

/** `/register`, `/token`, `/sign-in`, `/sign-out`, `/users/me` and what belongs to it. */
export async function userRoutes(app: FastifyInstance): Promise<void> {
  app.addHook("onRequest", async (_request, reply) => void reply.header("cache-control", "no-store"));
  signInRoutes(app);
  ownRoutes(app);
  keyRoutes(app);
}

function signInRoutes(app: FastifyInstance): void {
  app.post(
    "/register",
    { schema: { tags, summary: "Adds a user", response: { 201: { description: "the new user" } } } },
    handler(
      { limit, auth, users, mail: current(mail), background: from.background, newUser },
      async ({ auth, users, mail, background, newUser }, _request, reply) => {
        const { login, password, email } = newUser;
        const added = await users.add(login, await auth.passwords.hash(password, [login]), ["viewer"]);
        if (added === undefined) throw new HttpError(409, "this name is taken");
        if (email !== undefined) background.add("welcome", () => welcome(mail.current, login, email)); // after the answer
        reply.code(201);
        return added;
      },
    ),
  );
  app.post(
    "/token",
    { schema: { tags, summary: "Signs in with a password: an access token and a refresh token" } },
    handler({ auth, form: from.passwordForm() }, async ({ auth, form: { username, password, scopes } }, request) => {
      const wanted = scopes.length === 0 ? EVERYTHING : scopes;
      return asOAuth2(await auth.signIn({ ...clientOf(request), login: username, password, scopes: wanted }));
    }),
  );
  app.post(
    "/token/refresh",
    { schema: { tags, summary: "The next pair of tokens" } },
    handler({ limit: tokenLimit, auth, refreshToken }, async ({ auth, refreshToken }, request) =>
      asOAuth2(await auth.refresh(refreshToken, { userAgent: request.headers["user-agent"] })),
    ),
  );
  app.post(
    "/sign-in",
    { schema: { tags, summary: "Signs a browser in, with a cookie" } },
    handler({ session, credentials }, async ({ session, credentials }, request) => {
      const { subject } = await session.signIn({ ...clientOf(request), ...credentials, scopes: EVERYTHING });
      return { id: subject };
    }),
  );
  app.post(
    "/sign-out",
    { schema: { tags, summary: "Ends the session of the cookie, or all of the user" } },
    handler({ session, owner, everywhere, auth }, async ({ session, owner, everywhere, auth }, _request, reply) => {
      if (everywhere) await auth.logoutEverywhere(owner.subject);
      await session.end();
      reply.code(204);
    }),
  );
}

const everywhere = from.query("everywhere", { type: "boolean", default: false });

function ownRoutes(app: FastifyInstance): void {
  app.get(
    "/.well-known/jwks.json",
    { schema: { tags, summary: "The public keys of access tokens" } },
    handler({ auth }, ({ auth }) => auth.jwks()),
  );
  app.get(
    "/session",
    { schema: { tags, summary: "Who is signed in by a cookie, or no one: for pages, which ask before anybody has" } },
    handler({ session, users }, async ({ session, users }) => {
      const user = session.who === null ? undefined : await users.find(session.who.subject);
      return { user: user === undefined || user.isDisabled ? null : shown(user) };
    }),
  );
  app.get(
    "/users/me",
    { schema: { tags, summary: "Who is signed in, and what they may do" } },
    handler({ me, users }, async ({ me, users }) => {
      const user = await users.find(me.subject);
      if (user === undefined) throw new HttpError(404, "this user is gone");
      return { ...shown(user), permissions: [...me.scopes] };
    }),
  );
  app.get(
    "/users/me/sessions",
    { schema: { tags, summary: "Where the user is signed in, newest first" } },
    handler({ owner, auth }, async ({ owner: { subject, session }, auth }) => {
      const [cookies, tokens] = await Promise.all([auth.sessions.list(subject), auth.listPairs(subject)]);
      const all = [
        ...cookies.map((one) => ({ ...one, kind: "cookie" })),
        ...tokens.map((one) => ({ ...one, kind: "token" })),
      ].sort((a, b) => b.beganAtMs - a.beganAtMs);
      return { items: all.map(({ scopes: _, subject: __, ...one }) => ({ ...one, isThis: one.id === session })) };
    }),
  );
  app.delete(
    "/users/me/sessions/:id",
    { schema: { tags, summary: "Signs out elsewhere" } },
    handler({ owner, auth, id }, async ({ owner, auth, id }, _request, reply) => {
      const isEnded = (await auth.sessions.revoke(owner.subject, id)) || (await auth.revokePair(owner.subject, id));
      if (!isEnded) throw new HttpError(404, "there is no such session");
      reply.code(204);
    }),
  );
}

function keyRoutes(app: FastifyInstance): void {
  app.post(
    "/users/me/api-keys",
    { schema: { tags, summary: "Makes a key for a program; it is shown this once" } },
    handler({ owner, auth, newKey }, async ({ owner, auth, newKey: { name, scopes } }, _request, reply) => {
      const wanted = scopes as readonly string[]; // the schema says so
      if (!wanted.every((scope) => owner.scopes.has(scope)))
        throw new HttpError(403, "a key may do what you may, and no more");
      reply.code(201);
      return auth.apiKeys.create({ subject: owner.subject, name, scopes: wanted });
    }),
  );
  app.get(
    "/users/me/api-keys",
    { schema: { tags, summary: "The user's keys, newest first" } },
    handler({ owner, auth }, async ({ owner, auth }) => ({ items: await auth.apiKeys.list(owner.subject) })),
  );
  app.delete(
    "/users/me/api-keys/:id",
    { schema: { tags, summary: "Ends a key" } },
    handler({ owner, auth, id }, async ({ owner, auth, id }, _request, reply) => {
      if (!(await auth.apiKeys.revoke(owner.subject, id))) throw new HttpError(404, "there is no such key");
      reply.code(204);
    }),
  );
}

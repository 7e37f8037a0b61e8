import { resource, setActor, type Definition, type Principal } from "@steward/core";
import { isDefinition } from "@steward/core/container";
import {
  assertShape,
  flag,
  isLoopback,
  literalOr,
  oneOf,
  recognised,
  shape,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import { serverError, unauthenticated } from "../errors.ts";
import { cookiesOf } from "../inputs/read.ts";
import type { HttpRequest } from "../life/exchange.ts";
import { schemeShape, type SchemeOptions } from "../options.ts";
import { request, responseHeaders, type ResponseHeaders } from "../route/request-inputs.ts";
import { withScheme } from "../route/source.ts";
import type { Scheme } from "./scheme.ts";
import { csrfTokenOf } from "./csrf.ts";
import { hostOf } from "./host.ts";

/** A session that has just begun. */
export interface BegunCookie {
  /** Value of the cookie. */
  readonly value: string;
  /** When it ends in any case, in ms from now. */
  readonly maxAgeMs: number;
}

/** What keeps sessions: `auth.sessions` of `@steward/auth`, or your own. */
export interface SessionKeeper<P extends Principal = Principal> {
  begin(to: never): Promise<BegunCookie>;
  /** `device`, where it gives one, is kept in a cookie of its own, and is given back at the next sign-in. */
  signIn(as: never): Promise<BegunCookie & { readonly device?: string | undefined }>;
  find(
    value: string,
  ): Promise<{ readonly principal: P; readonly fields: Readonly<Record<string, string>> } | undefined>;
  write(value: string, changes: Readonly<Record<string, string | null>>): Promise<void>;
  end(value: string): Promise<void>;
}

/** How the cookie of a session is made. */
export interface CookieSessionOptions {
  /** Name of the cookie, behind `__Host-`. Default `session`. */
  readonly name?: string | undefined;
  /** `Strict` also keeps it back where a link leads here from another site. Default `Lax`. */
  readonly sameSite?: "Lax" | "Strict" | undefined;
  /**
   * `false`: without `Secure` and `__Host-`, for plain HTTP on this machine, and refused elsewhere. `"elsewhere"`: without
   * them where a request is for this machine, such as `http://localhost:3000`. Default `true`.
   */
  readonly secure?: boolean | "elsewhere" | undefined;
}

const sessionShape: Shape<CookieSessionOptions> = shape<CookieSessionOptions>(() => ({
  name: recognised((value) => typeof value === "string" && /^[\w-]{1,64}$/.test(value), "1 to 64 of A-Z a-z 0-9 _ -"),
  sameSite: oneOf("Lax", "Strict"),
  secure: literalOr("elsewhere", flag()),
}));

/** Who a keeper's sessions are of. */
type PrincipalOf<K extends SessionKeeper> = NonNullable<Awaited<ReturnType<K["find"]>>>["principal"];

/** What a keeper's method takes, without the cookie, which is known. */
type Without<F extends (to: never) => unknown> = Omit<Parameters<F>[0], "replaces">;

/** The session of a request. */
export interface CookieSession<K extends SessionKeeper = SessionKeeper> {
  /** Who is signed in; `null` for no one. */
  readonly who: PrincipalOf<K> | null;
  /** What the app keeps in the session, as it was when the request came. */
  readonly fields: Readonly<Record<string, string>>;
  /** For pages of ours in old browsers: what they send as `x-csrf-token`. `undefined` without a session. */
  readonly csrfToken: string | undefined;
  /** Signs in with a password: a new session and a new cookie, and an end to the one that was shown. */
  signIn(as: Without<K["signIn"]>): ReturnType<K["signIn"]>;
  /** The same for somebody who was found to be the one by other means. */
  begin(to: Without<K["begin"]>): ReturnType<K["begin"]>;
  /** Writes fields, each for itself; `null` takes one out. */
  write(changes: Readonly<Record<string, string | null>>): Promise<void>;
  /** Signs out: the session ends for good, and the cookie goes. */
  end(): Promise<void>;
}

/** The names that the cookie of a session may have, the usual one first. */
const NAMES = new WeakMap<object, readonly string[]>();

/** The names that the cookie of what `cookieSession` gave may have. */
export function cookieNamesOf(session: object): readonly string[] {
  return NAMES.get(session) ?? [];
}

/**
 * The session that a request's cookie names: a need of routes that sign in, sign out, or keep something in it. The cookie
 * is `__Host-session`, with `Secure`, `HttpOnly` and `SameSite`, so that no script, no other host and no page of another site
 * gets at it. An outage of the store is 503, and leaves the cookie as it is.
 *
 * @param auth What has `sessions`: `authentication(...)` of `@steward/auth` with that option.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { cookieSession } from "@steward/server";
 * const nothing = async () => {};
 * const begin = async () => ({ value: "v", maxAgeMs: 1_000 });
 * const auth = resource("auth", { start: () => ({ sessions: { begin, signIn: begin, find: async () => undefined, write: nothing, end: nothing } }) });
 * const session = cookieSession(auth);
 * console.log(session.lifetime); // => request
 * ```
 */
export function cookieSession<K extends SessionKeeper, A extends string>(
  auth: Definition<{ readonly sessions: K }, "application" | "process", A>,
  options: CookieSessionOptions = {},
): Definition<CookieSession<K>, "request", A | "request:request" | "request:responseHeaders"> {
  assertShape("cookieSession", recognised(isDefinition, "a definition, such as authentication(...)"), auth);
  assertShape("cookieSession", sessionShape, options);
  const { name = "session", sameSite = "Lax", secure = true } = options;
  const definition = resource("cookie session", {
    lifetime: "request",
    needs: { auth, request, responseHeaders },
    start: async ({ auth, request, responseHeaders }): Promise<CookieSession<K>> => {
      const isSecure = isSecureFor(secure, request);
      const cookie = { name: isSecure ? `__Host-${name}` : name, sameSite, isSecure };
      const cookies = cookiesOf(request);
      const value = cookies[cookie.name];
      const found = value === undefined ? undefined : await auth.sessions.find(value);
      if (found !== undefined) setActor(found.principal.subject);
      const shown = { value, device: cookies[deviceOf(cookie)], found };
      return new RequestSession(auth.sessions, responseHeaders, cookie, shown) as unknown as CookieSession<K>; // its methods give what those of the keeper give
    },
  });
  const names = secure === true ? [`__Host-${name}`] : secure === false ? [name] : [`__Host-${name}`, name];
  NAMES.set(definition, names);
  return definition;
}

interface Cookie {
  readonly name: string;
  readonly sameSite: "Lax" | "Strict";
  readonly isSecure: boolean;
}

/** What a request has shown. */
interface Shown {
  readonly value: string | undefined;
  /** The mark of a device on which somebody has signed in before. */
  readonly device: string | undefined;
  readonly found: Awaited<ReturnType<SessionKeeper["find"]>>;
}

const DEVICE_SECONDS = 365 * 86_400;

/** Name of the cookie that keeps the mark of a device. */
function deviceOf({ name }: Pick<Cookie, "name">): string {
  return `${name}-device`;
}

class RequestSession implements CookieSession {
  readonly #keeper: SessionKeeper;
  readonly #headers: ResponseHeaders;
  readonly #cookie: Cookie;
  readonly #device: string | undefined;
  #value: string | undefined;
  #who: Principal | null;
  readonly fields: Readonly<Record<string, string>>;

  constructor(keeper: SessionKeeper, headers: ResponseHeaders, cookie: Cookie, { value, device, found }: Shown) {
    this.#keeper = keeper;
    this.#headers = headers;
    this.#cookie = cookie;
    this.#device = device;
    this.#value = value;
    this.#who = found?.principal ?? null;
    this.fields = found?.fields ?? {};
  }

  get who(): Principal | null {
    return this.#who;
  }

  get csrfToken(): string | undefined {
    return this.#who === null || this.#value === undefined ? undefined : csrfTokenOf(this.#value);
  }

  async signIn(as: object): Promise<Awaited<ReturnType<SessionKeeper["signIn"]>>> {
    const device = this.#device === undefined ? {} : { device: this.#device };
    const begun = await this.#keeper.signIn({ ...device, ...as, replaces: this.#value } as never); // the keeper checks it
    if (begun.device !== undefined && begun.device !== this.#device)
      this.#send(deviceOf(this.#cookie), begun.device, DEVICE_SECONDS);
    return this.#begun(begun);
  }

  async begin(to: object): Promise<BegunCookie> {
    return this.#begun(await this.#keeper.begin({ ...to, replaces: this.#value } as never)); // the keeper checks it
  }

  async #begun<B extends BegunCookie>(begun: B): Promise<B> {
    this.#set(begun.value, Math.floor(begun.maxAgeMs / 1_000));
    this.#who = (await this.#keeper.find(begun.value))?.principal ?? null;
    return begun;
  }

  async write(changes: Readonly<Record<string, string | null>>): Promise<void> {
    if (this.#value === undefined) throw unauthenticated("Session");
    await this.#keeper.write(this.#value, changes);
  }

  async end(): Promise<void> {
    if (this.#value === undefined) return;
    await this.#keeper.end(this.#value);
    this.#set("", 0);
    this.#who = null;
  }

  #set(value: string, seconds: number): void {
    this.#value = value === "" ? undefined : value;
    this.#send(this.#cookie.name, value, seconds);
    this.#headers.set("cache-control", "no-store");
  }

  #send(name: string, value: string, seconds: number): void {
    const { sameSite, isSecure } = this.#cookie;
    const parts = [`${name}=${value}`, "Path=/", `Max-Age=${seconds}`, "HttpOnly", `SameSite=${sameSite}`];
    this.#headers.append("set-cookie", [...parts, ...(isSecure ? ["Secure"] : [])].join("; "));
  }
}

/**
 * Who is signed in by the cookie of a session: a need that routes put behind `security(me, scopes)`. A request without a
 * session is 401, or `null` with `autoError: false`.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function sessionPrincipal<K extends SessionKeeper, O extends string, const Auto extends boolean = true>(
  session: Definition<CookieSession<K>, "request", O>,
  options: Pick<SchemeOptions<Auto>, "name" | "autoError" | "description"> = {},
): Definition<Auto extends false ? PrincipalOf<K> | null : PrincipalOf<K>, "request", O> {
  assertShape("sessionPrincipal", cookieSessionRule, session);
  assertShape("sessionPrincipal", schemeShape(), options);
  const { name = "session", autoError = true, description } = options;
  const definition = resource(name, {
    lifetime: "request",
    needs: { session },
    start: ({ session }) => {
      if (session.who === null && autoError) throw unauthenticated("Session");
      return session.who;
    },
  });
  const scheme = sessionScheme(session, name, autoError);
  const document = description === undefined ? scheme.document : { ...scheme.document, description };
  return withScheme(definition as never, { ...scheme, document }) as never; // `autoError` says whether it may be null
}

/** Whether something is what `cookieSession` gives. */
export const cookieSessionRule: Rule = recognised((value) => NAMES.has(value as object), "what cookieSession gives");

/** How a session stands in an OpenAPI document. */
export function sessionScheme(session: object, name: string, required: boolean): Scheme {
  return {
    name,
    required,
    missingStatus: 401,
    document: { type: "apiKey", in: "cookie", name: cookieNamesOf(session)[0] ?? "" },
  };
}

/** A cookie without `Secure` is for this machine. */
function isSecureFor(secure: boolean | "elsewhere", incoming: HttpRequest): boolean {
  if (secure === true) return true;
  const host = hostOf(incoming);
  const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : "";
  if (isLoopback(name)) return false;
  if (secure === false)
    throw serverError(
      "ROUTE_INVALID",
      `cookieSession has secure: false, which is for this machine alone, and not for ${host}`,
    );
  return true;
}

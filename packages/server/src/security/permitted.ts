import { resource, type Definition, type Principal } from "@steward/core";
import { isDefinition, type AnyDefinition, type Need } from "@steward/core/container";
import { assertShape, recognised, required, shape, withMethods, type Shape } from "@steward/core/driver";
import { HttpError } from "../errors.ts";
import { withRefusal } from "../route/source.ts";
import { security } from "./security.ts";

/** What says who may do what: what `roles(...)` of `@steward/auth` gives, or your own. */
export interface AccessLike<P extends string = string, G = unknown> {
  readonly permissions: ReadonlySet<P>;
  /** Policies on objects, by permission. */
  readonly policies: G;
  can(who: never, permission: never, ...object: never): boolean;
}

/** What a policy for that permission is given; nothing where there is no policy. */
type ObjectOf<G, P extends string> = P extends keyof G
  ? G[P] extends (who: never, object: infer O) => boolean
    ? O
    : never
  : never;

/** Which object {@link permitted} looks at. */
export interface PermittedOptions<T, O extends string> {
  /** A need of requests that gives the object, such as the video of the path; `undefined` or `null` is 404. */
  readonly object: Definition<T | undefined | null, "request", O>;
  /** 404: who may not do it does not learn either that the object exists. Default 403. */
  readonly as?: 403 | 404 | undefined;
}

const permittedShape: Shape<PermittedOptions<unknown, string>> = shape<PermittedOptions<unknown, string>>(() => ({
  object: required(recognised(isDefinition, "a definition of requests")),
  as: recognised((value) => value === 403 || value === 404, "403 or 404"),
}));

/**
 * Who makes a request, if they have a permission and, with `object`, if the policy of that permission allows it for that
 * object: a need of routes. Else the answer is 403, or 404 where that is asked for; without a principal it is 401. The
 * OpenAPI document shows the permission as the scope of the route.
 *
 * @param me Who makes a request, with roles: `access.principal(me, roles)`.
 * @param access What `roles(...)` of `@steward/auth` gives.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong, or no role knows the permission.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { permitted } from "@steward/server";
 * const access = { permissions: new Set(["videos:delete"] as const), policies: {}, can: () => true };
 * const me = resource("me", { lifetime: "request", start: () => ({ subject: "ada", scopes: new Set(["videos:delete"]), session: undefined }) });
 * const remover = permitted(me, access, "videos:delete"); // a need of routes
 * console.log(typeof remover); // => object
 * ```
 */
export function permitted<W extends Principal | null, O extends string, P extends string, G>(
  me: Definition<W, "request", O>,
  access: AccessLike<P, G>,
  permission: NoInfer<P>,
): Need<NonNullable<W>, "request", O | "request:requiredScopes">;
/** The same for an object. */
export function permitted<
  W extends Principal | null,
  O extends string,
  P extends string,
  G,
  const N extends P,
  V extends string,
>(
  me: Definition<W, "request", O>,
  access: AccessLike<P, G>,
  permission: N,
  options: PermittedOptions<ObjectOf<G, N>, V>,
): Need<NonNullable<W>, "request", O | V | "request:requiredScopes">;
/** What both forms do. */
export function permitted(
  me: Definition<Principal | null, "request", string>,
  access: AccessLike,
  permission: string,
  options?: PermittedOptions<unknown, string>,
): Need {
  assertShape("permitted", recognised(isDefinition, "who makes a request"), me);
  assertShape("permitted access", withMethods("what roles(...) gives", "can"), access);
  const isKnown = (value: unknown): boolean => access.permissions.has(value as string);
  assertShape("permitted permission", recognised(isKnown, "a permission that a role grants"), permission);
  const who = security(me as never, [permission]) as Need;
  if (options === undefined) return who;
  assertShape("permitted", permittedShape, options);
  const { object, as: status = 403 } = options;
  const definition = resource("permitted", {
    lifetime: "request",
    needs: { who, object } as never,
    start: ({ who, object }: { readonly who: Principal; readonly object: unknown }) => {
      if (object === undefined || object === null) throw notFound();
      if (access.can(who as never, permission as never, ...([object] as never))) return who;
      throw status === 404 ? notFound() : new HttpError(403, "not enough permissions", { code: "AUTH_FORBIDDEN" });
    },
  } as never);
  withRefusal(definition as AnyDefinition, { status, description: "Not allowed for this object" });
  return definition as never;
}

function notFound(): HttpError {
  return new HttpError(404, "there is no such object");
}

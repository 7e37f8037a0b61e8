import type { Principal } from "@steward/core";
import { assertShape, func, listOf, recognised, recordOf, shape, type Shape } from "@steward/core/driver";
import { forbidden, setupWrong } from "../errors.ts";
import { isScope } from "../tokens/access-token.ts";
import { GrantedScopes } from "../tokens/granted.ts";

/** What a role grants: permissions, or those of other roles and more. */
export type RoleGrants =
  | readonly string[]
  | { readonly extends?: readonly string[] | undefined; readonly grants?: readonly string[] | undefined };

/** Roles by their names. `videos:*` grants all of one level, `*` all that there is. */
export type RoleDefinitions = Readonly<Record<string, RoleGrants>>;

type GrantsOf<G> = G extends readonly (infer P)[] ? P : G extends { readonly grants: readonly (infer P)[] } ? P : never;

type Concrete<P> = P extends `${string}*` ? never : P extends string ? P : never;

/** The permissions that roles name, as literal types. */
export type PermissionOf<D extends RoleDefinitions> = Concrete<{ [R in keyof D]: GrantsOf<D[R]> }[keyof D]>;

/** Whether somebody who has a permission may use it on an object, such as on a video of their own; by permission. */
export type Policies<Objects> = {
  readonly [P in keyof Objects]: (who: WithRoles, object: Objects[P]) => boolean;
};

/** What has to be said beside a permission: the object, where there is a policy for it. */
export type ObjectFor<Objects, P extends string> = [P] extends [never]
  ? []
  : P extends keyof Objects
    ? [object: Objects[P]]
    : [];

/** More of what {@link roles} has to know. */
export interface RolesOptions<Extra extends string = never, Objects = {}> {
  /** Policies on objects, by the permission that they narrow: it then takes both, the permission and the policy. */
  readonly policies?: Policies<Objects> | undefined;
  /** Permissions that no role names by themselves, such as those that only `*` grants. */
  readonly permissions?: readonly Extra[] | undefined;
}

/** Somebody who makes a request, with roles. */
export type WithRoles<P extends Principal = Principal> = P & { readonly roles: ReadonlySet<string> };

/** Who may do what. Everything that is not granted is denied. */
export interface Access<R extends string, Permission extends string, Objects = {}> {
  /** All permissions that there are. */
  readonly permissions: ReadonlySet<Permission>;
  /** What roles grant together; a role that is not defined grants nothing. */
  permissionsOf(roles: Iterable<string>): ReadonlySet<Permission>;
  /**
   * A principal with its roles. Its scopes are what the roles grant and the credential allows too: a token narrows what
   * its user may do, and never widens it. So `security(member, ["videos:write"])` asks for a permission.
   */
  principal<P extends Principal>(who: P, roles: Iterable<string>): WithRoles<P>;
  /** The policies on objects. */
  readonly policies: Policies<Objects>;
  /** Whether somebody may do it; to that object, where there is a policy for the permission. */
  can<P extends Permission>(who: WithRoles, permission: P, ...object: ObjectFor<Objects, P>): boolean;
  /**
   * Refuses somebody who may not do it.
   * @throws {AUTH_FORBIDDEN} which servers answer with 403.
   */
  demand<P extends Permission>(who: WithRoles, permission: P, ...object: ObjectFor<Objects, P>): void;
  /** Whether somebody has a role; prefer to ask for a permission. */
  hasRole(who: WithRoles, role: R): boolean;
}

const PERMISSION = /^[a-z0-9][a-z0-9_-]*(:[a-z0-9][a-z0-9_-]*)*$/;
const GRANT = /^(\*|[a-z0-9][a-z0-9_-]*(:[a-z0-9][a-z0-9_-]*)*(:\*)?)$/;
const grantRule = recognised(
  (value) => isScope(value) && GRANT.test(value),
  "a permission such as videos:read, or videos:* or *",
);
const permissionRule = recognised(
  (value) => isScope(value) && PERMISSION.test(value),
  "a permission such as videos:read",
);
const roleName = recognised((value) => typeof value === "string" && value !== "", "the name of a role");

const roleShape = /* @__PURE__ */ shape<Exclude<RoleGrants, readonly string[]>>(() => ({
  extends: listOf(roleName),
  grants: listOf(grantRule),
}));
const optionsShape: Shape<RolesOptions<string>> = /* @__PURE__ */ shape<RolesOptions<string>>(() => ({
  policies: recordOf(func()),
  permissions: listOf(permissionRule),
}));

/**
 * Defines roles and what they grant, once; a permission that is misspelt where it is asked for does not compile.
 *
 * @throws {OPTIONS_INVALID} when a role or a permission is not written as one.
 * @throws {AUTH_SETUP_INVALID} when a role extends one that is not defined, or itself.
 *
 * @example
 * ```ts
 * import { roles } from "@steward/auth";
 * const access = roles({ viewer: ["videos:read"], editor: { extends: ["viewer"], grants: ["videos:write"] }, admin: ["*"] });
 * console.log([...access.permissionsOf(["editor"])]); // => [ 'videos:read', 'videos:write' ]
 * ```
 */
export function roles<const D extends RoleDefinitions, const Extra extends string = never, Objects = {}>(
  definitions: D,
  options: RolesOptions<Extra, Objects> = {},
): Access<Extract<keyof D, string>, PermissionOf<D> | Extra, Objects> {
  assertShape("roles", optionsShape, options);
  for (const [name, role] of Object.entries(definitions)) assertRole(name, role);
  const grants = new Map(Object.keys(definitions).map((name) => [name, grantsOf(definitions, name, [])]));
  const named = [...grants.values()].flat().filter((grant) => PERMISSION.test(grant));
  const all = new Set([...named, ...(options.permissions ?? [])]);
  const { policies = {} } = options;
  const unknown = Object.keys(policies).find((permission) => !all.has(permission));
  if (unknown !== undefined)
    throw setupWrong("roles", `a policy names "${unknown}", which no role grants: add it to "permissions"`);
  return accessOf(all, grants, policies) as never; // the names are those of the definitions
}

function assertRole(name: string, role: RoleGrants): void {
  if (Array.isArray(role)) assertShape(`roles "${name}"`, listOf(grantRule), role);
  else assertShape(`roles "${name}"`, roleShape, role);
}

/** What a role grants, with what it has from others. */
function grantsOf(definitions: RoleDefinitions, name: string, above: readonly string[]): readonly string[] {
  const role = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
  if (role === undefined) throw setupWrong("roles", `"${above.at(-1)}" extends "${name}", which is not defined`);
  if (above.includes(name)) throw setupWrong("roles", `"${name}" extends itself: ${[...above, name].join(" > ")}`);
  if (!("grants" in role) && !("extends" in role)) return role as readonly string[]; // a role that is a list
  const inherited = (role.extends ?? []).flatMap((other) => grantsOf(definitions, other, [...above, name]));
  return [...inherited, ...(role.grants ?? [])];
}

function accessOf(
  all: ReadonlySet<string>,
  grants: ReadonlyMap<string, readonly string[]>,
  policies: Policies<Record<string, never>>,
): Access<string, string> {
  const isGranted = (who: WithRoles, permission: string): boolean =>
    all.has(permission) && access.permissionsOf(who.roles).has(permission) && who.scopes.has(permission);
  const access: Access<string, string> = {
    policies: Object.freeze({ ...policies }),
    permissions: new GrantedScopes(all),
    permissionsOf(names) {
      const granted = [...names].flatMap((name) => grants.get(name) ?? []);
      return new GrantedScopes([...all].filter((permission) => isCovered(permission, granted)));
    },
    principal(who, names) {
      const own = new GrantedScopes(names);
      const allowed = [...who.scopes];
      const scopes = [...access.permissionsOf(own)].filter((permission) => isCovered(permission, allowed));
      return Object.freeze({ ...who, roles: own, scopes: new GrantedScopes(scopes) });
    },
    can: (who, permission, ...given: readonly unknown[]) => {
      if (!isGranted(who, permission)) return false;
      const policy = Object.hasOwn(policies, permission) ? policies[permission] : undefined;
      const [object] = given;
      // An object that is not there is no one's.
      return policy === undefined || (object !== undefined && object !== null && policy(who, object as never) === true);
    },
    demand: (who, permission, ...object) => {
      if (!access.can(who, permission, ...object)) throw forbidden("roles", permission);
    },
    hasRole: (who, role) => grants.has(role) && who.roles.has(role),
  };
  return Object.freeze(access);
}

/** Whether one of the grants is the permission, or stands for it: `videos:*` for one level below, `*` for all. */
function isCovered(permission: string, grants: readonly string[]): boolean {
  const level = permission.slice(0, permission.lastIndexOf(":") + 1);
  return grants.some((grant) => grant === permission || grant === "*" || (level !== "" && grant === `${level}*`));
}

export { AUTH_CODES, type AuthCode } from "./errors.ts";
export type { AuthenticationStats } from "./health.ts";
export type { ApiKeyIssuance, ApiKeys, IssuedApiKey } from "./tokens/keys/api-keys.ts";
export { memoryApiKeys, type MemoryApiKeysOptions } from "./tokens/keys/memory-store.ts";
export type { ApiKeysOptions } from "./tokens/keys/options.ts";
export { sqlApiKeys, type SqlApiKeysOptions } from "./tokens/keys/sql-store.ts";
export type { ApiKey, ApiKeyStore, FoundApiKey, NewApiKey } from "./tokens/keys/store.ts";
export { authentication, AuthenticationManager } from "./manager.ts";
export type { AuthenticationOptions, TrustedIssuer } from "./options.ts";
export { SIGN_IN_POLICIES } from "./passwords/limits.ts";
export type { PasswordOptions, PasswordUser, PasswordUsers, SignInLimiter } from "./passwords/options.ts";
export type { Confirmed } from "./passwords/reset.ts";
export type { CheckedUser, Credentials, Passwords, SignInCounts } from "./passwords/sign-in.ts";
export { memorySessions, type MemorySessionsOptions } from "./sessions/cookies/memory-store.ts";
export type { SessionsOptions } from "./sessions/cookies/options.ts";
export type {
  BegunSession,
  CookieSessions,
  FoundSession,
  ListedSession,
  SessionIssuance,
  SessionSignIn,
} from "./sessions/cookies/sessions.ts";
export type { EndedSessions } from "./sessions/ends.ts";
export { redisSessions } from "./sessions/cookies/redis-store.ts";
export { sqlSessions, type SqlSessionsOptions } from "./sessions/cookies/sql-store.ts";
export type { CookieSessionStore, NewCookieSession, StoredCookieSession } from "./sessions/cookies/store.ts";
export type { RefreshCounts } from "./sessions/refresh/families.ts";
export { memoryFamilies, type MemoryFamiliesOptions } from "./sessions/refresh/memory-store.ts";
export type { KnownUser, RefreshOptions, RevocationMode, Users } from "./sessions/refresh/options.ts";
export type { PairIssuance, SignedIn, SignIn, TokenPair, TokenPairs } from "./sessions/refresh/pairs.ts";
export { redisFamilies } from "./sessions/refresh/redis-store.ts";
export type { RedisEntriesOptions } from "./sessions/redis-entries.ts";
export { sqlFamilies, type SqlFamiliesOptions } from "./sessions/refresh/sql-store.ts";
export type { Family, FamilyStore, ListedFamily, NewFamily, Rotation, Use } from "./sessions/refresh/store.ts";
export type { TokenMac } from "./sessions/refresh/token.ts";
export type { TokenPrincipal } from "./tokens/access-token.ts";
export type { VerificationCounts } from "./tokens/access-tokens.ts";
export type { Authentication } from "./tokens/authentication.ts";
export type { Issuance, IssuedToken } from "./tokens/issuance.ts";
export {
  roles,
  type Access,
  type ObjectFor,
  type Policies,
  type PermissionOf,
  type RoleDefinitions,
  type RoleGrants,
  type RolesOptions,
  type WithRoles,
} from "./roles/roles.ts";

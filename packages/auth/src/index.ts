export { AUTH_CODES, type AuthCode } from "./errors.ts";
export type { AuthenticationStats } from "./health.ts";
export type { ApiKeyIssuance, ApiKeys, IssuedApiKey } from "./keys/api-keys.ts";
export { memoryApiKeys, type MemoryApiKeysOptions } from "./keys/memory-store.ts";
export type { ApiKeysOptions } from "./keys/options.ts";
export { sqlApiKeys, type SqlApiKeysOptions } from "./keys/sql-store.ts";
export type { ApiKey, ApiKeyStore, FoundApiKey, NewApiKey } from "./keys/store.ts";
export { authentication, AuthenticationManager } from "./manager.ts";
export type { AuthenticationOptions, TrustedIssuer } from "./options.ts";
export type { RefreshCounts } from "./refresh/families.ts";
export { memoryFamilies, type MemoryFamiliesOptions } from "./refresh/memory-store.ts";
export type { KnownUser, RefreshOptions, RevocationMode, Users } from "./refresh/options.ts";
export type { PairIssuance, TokenPair, TokenPairs } from "./refresh/pairs.ts";
export { sqlFamilies, type SqlFamiliesOptions } from "./refresh/sql-store.ts";
export type { Family, FamilyStore, NewFamily, Rotation, Use } from "./refresh/store.ts";
export type { TokenMac } from "./refresh/token.ts";
export type { TokenPrincipal } from "./tokens/access-token.ts";
export type { VerificationCounts } from "./tokens/access-tokens.ts";
export type { Authentication } from "./tokens/authentication.ts";
export type { Issuance, IssuedToken } from "./tokens/issuance.ts";
export {
  roles,
  type Access,
  type PermissionOf,
  type RoleDefinitions,
  type RoleGrants,
  type RolesOptions,
  type WithRoles,
} from "./roles/roles.ts";

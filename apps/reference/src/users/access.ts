import { roles, type PermissionOf } from "@steward/auth";

const ROLES = {
  /** Everybody who has registered. */
  viewer: ["account", "videos:upload", "secrets:list"],
  editor: { extends: ["viewer"], grants: ["secrets:read", "secrets:write", "crypto:use", "training:run"] },
  admin: ["*"],
} as const;
/** Granted by `*` alone. */
const ADMINISTRATION = ["users:read", "users:write", "keys:rotate"] as const;

/** Who may do what in Clips. */
export const access = roles(ROLES, { permissions: ADMINISTRATION });

/** A role of a user. */
export type Role = keyof typeof ROLES;

/** What a route may ask for. */
export type Permission = PermissionOf<typeof ROLES> | (typeof ADMINISTRATION)[number];

/** All roles, for the document. */
export const ROLE_NAMES = Object.keys(ROLES) as Role[]; // its own keys

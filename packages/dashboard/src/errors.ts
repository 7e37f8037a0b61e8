/** Codes of the answers that this package refuses with, with their meaning. */
export const DASHBOARD_CODES = {
  DASHBOARD_TOKEN_REQUIRED: "The request carries neither the token nor the cookie that it is traded for.",
  DASHBOARD_HOST_UNKNOWN: "The `host` header is no address, not `localhost`, and not in the option `hosts`.",
  DASHBOARD_ORIGIN_REFUSED: "A page of another origin asked.",
  DASHBOARD_FULL: "As many viewers watch as may at a time.",
} as const;

/** A code that `@steward/dashboard` answers with. */
export type DashboardCode = keyof typeof DASHBOARD_CODES;

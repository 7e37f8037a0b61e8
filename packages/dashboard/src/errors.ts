/** Codes of the answers that this package refuses with, with their meaning. */
export const DASHBOARD_CODES = {
  DASHBOARD_TOKEN_REQUIRED: "The request carries neither the token nor the cookie that it is traded for.",
  DASHBOARD_HOST_UNKNOWN: "The `host` header is no address, not `localhost`, and not in the option `hosts`.",
  DASHBOARD_ORIGIN_REFUSED: "A page of another origin asked.",
  DASHBOARD_METHOD_REFUSED: "Something other than GET or HEAD was asked for; a dashboard changes nothing.",
  DASHBOARD_NOT_FOUND: "There is no such file, or no resource of this name.",
  DASHBOARD_CLOSED: "The dashboard was closed, as its program ends.",
  DASHBOARD_FAILED: "What a resource says of itself could not be read; why is in the answer.",
  DASHBOARD_FULL: "As many viewers watch as may at a time.",
} as const;

/** A code that `@steward/dashboard` answers with. */
export type DashboardCode = keyof typeof DASHBOARD_CODES;

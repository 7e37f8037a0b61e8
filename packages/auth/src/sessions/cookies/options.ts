import { countSchema, msSchema } from "@steward/core/driver";
import * as v from "valibot";
import { portSchema } from "../refresh/options.ts";
import type { CookieSessionStore } from "./store.ts";

const DAY = 86_400_000;

/** How cookie sessions are kept. */
export interface SessionsOptions {
  /** Where they are: `sqlSessions({ sql })`, or `memorySessions()` where one process answers everything. */
  readonly store: CookieSessionStore;
  /** A session that is not used for so long ends, in ms. Default 1,800,000 (30 minutes). */
  readonly idleMs?: number | undefined;
  /** A session ends after so long in any case, in ms. Default 43,200,000 (12 hours). */
  readonly absoluteMs?: number | undefined;
  /** Most sessions of a user; one more ends the oldest. Default 100. */
  readonly maxPerUser?: number | undefined;
}

/** The same, checked. */
export interface CheckedSessions {
  readonly store: () => CookieSessionStore;
  readonly idleMs: number;
  readonly absoluteMs: number;
  readonly maxPerUser: number;
}

/** What the options of cookie sessions must be. */
export const sessionsSchema: v.GenericSchema<unknown, CheckedSessions> = v.pipe(
  v.strictObject({
    store: portSchema<CookieSessionStore>(
      "a store of cookie sessions, such as sqlSessions({ sql })",
      "epoch",
      "create",
      "find",
      "touch",
      "write",
      "list",
      "remove",
      "raiseEpoch",
    ),
    idleMs: v.optional(msSchema(1_000, 400 * DAY), 1_800_000),
    absoluteMs: v.optional(msSchema(1_000, 400 * DAY), 43_200_000),
    maxPerUser: v.optional(countSchema(1, 10_000), 100),
  }),
  v.forward(
    v.check(({ idleMs, absoluteMs }) => idleMs <= absoluteMs, "must not be more than absoluteMs"),
    ["idleMs"],
  ),
);

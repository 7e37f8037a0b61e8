import { countSchema, givenSchema, hasMethods, msSchema } from "@steward/core/driver";
import * as v from "valibot";
import type { FamilyStore } from "./store.ts";
import type { TokenMac } from "./token.ts";

const DAY = 86_400_000;

/** How refresh tokens are made and kept. */
export interface RefreshOptions {
  /** Where families are: `sqlFamilies({ sql })`, or `memoryFamilies()` where one process answers everything. */
  readonly store: FamilyStore;
  /** What makes their tags: `crypto.mac("refresh")` of `@steward/crypto`. */
  readonly mac: TokenMac;
  /** A family that is not used for so long ends, in ms. Default 1,209,600,000 (14 days). */
  readonly idleMs?: number | undefined;
  /** A family ends after so long in any case, in ms. Default 7,776,000,000 (90 days). */
  readonly absoluteMs?: number | undefined;
  /** How long a client that has lost the answer gets it again, in ms; 0 for never. At most 60,000. Default 10,000. */
  readonly reuseGraceMs?: number | undefined;
  /** Most families of a user; one more ends the oldest. Default 100. */
  readonly maxPerUser?: number | undefined;
}

/** The same, checked. Ports are not ours to freeze, so they are behind functions. */
export interface CheckedRefresh {
  readonly store: () => FamilyStore;
  readonly mac: () => TokenMac;
  readonly idleMs: number;
  readonly absoluteMs: number;
  readonly reuseGraceMs: number;
  readonly maxPerUser: number;
}

/** A port that is not frozen with the options it stands in. */
export function portSchema<T>(what: string, ...methods: readonly string[]): v.GenericSchema<unknown, () => T> {
  return v.pipe(
    givenSchema<T>((value) => hasMethods(value, ...methods), what),
    v.transform((port) => () => port),
  );
}

/** What the options of refresh tokens must be. */
export const refreshSchema: v.GenericSchema<unknown, CheckedRefresh> = v.pipe(
  v.strictObject({
    store: portSchema<FamilyStore>(
      "a store of families, such as sqlFamilies({ sql })",
      "epoch",
      "create",
      "find",
      "rotate",
      "remove",
      "raiseEpoch",
    ),
    mac: portSchema<TokenMac>('what crypto.mac("name") of @steward/crypto gives', "sign", "isValid"),
    idleMs: v.optional(msSchema(1_000, 400 * DAY), 14 * DAY),
    absoluteMs: v.optional(msSchema(1_000, 400 * DAY), 90 * DAY),
    reuseGraceMs: v.optional(msSchema(0, 60_000), 10_000),
    maxPerUser: v.optional(countSchema(1, 10_000), 100),
  }),
  v.forward(
    v.check(({ idleMs, absoluteMs }) => idleMs <= absoluteMs, "must not be more than absoluteMs"),
    ["idleMs"],
  ),
);

/** Whether access tokens are looked up in the store of families. */
export type RevocationMode = "expiry" | "checked" | "strict";

/** A user, as far as sign-in has to know. */
export interface KnownUser {
  /** Id of the user. */
  readonly id: string;
  /** True for a user who may not sign in now. Default `false`. */
  readonly isDisabled?: boolean | undefined;
}

/** Where users are. */
export interface Users {
  /** The user of that id; `undefined` or `null` where there is none. */
  find(id: string): Promise<KnownUser | null | undefined>;
}

/** Whether there is such a user, who may sign in. */
export function isActive<U extends KnownUser>(user: U | null | undefined): user is U {
  return user !== undefined && user !== null && user.isDisabled !== true;
}

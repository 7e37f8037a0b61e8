import { givenSchema } from "@steward/core/driver";
import * as v from "valibot";
import { portSchema } from "../../sessions/refresh/options.ts";
import type { ApiKeyStore } from "./store.ts";

/** How API keys are made and kept. */
export interface ApiKeysOptions {
  /** Where they are: `sqlApiKeys({ sql })`, or `memoryApiKeys()` in tests. */
  readonly store: ApiKeyStore;
  /** How a key begins: 2 to 16 of a-z 0-9. One of your own shows scanners whose keys they have found. Default `sk`. */
  readonly prefix?: string | undefined;
}

/** The same, checked. */
export interface CheckedApiKeys {
  readonly store: () => ApiKeyStore;
  readonly prefix: string;
}

/** What the options of API keys must be. */
export const apiKeysSchema: v.GenericSchema<unknown, CheckedApiKeys> = v.strictObject({
  store: portSchema<ApiKeyStore>(
    "a store of API keys, such as sqlApiKeys({ sql })",
    "create",
    "find",
    "used",
    "list",
    "remove",
  ),
  prefix: v.optional(
    givenSchema<string>(
      (value) => typeof value === "string" && /^[a-z][a-z0-9]{1,15}$/.test(value) && value !== "rt",
      "2 to 16 of a-z 0-9, and not rt",
    ),
    "sk",
  ),
});

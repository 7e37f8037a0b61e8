import { resource } from "@steward/core";

/** A person who may call. */
export interface User {
  readonly name: string;
  readonly scopes: readonly string[];
}

/** Stands for a table of users: tokens to people. */
export const users = resource("users", {
  start: () => new Map<string, User>([["secret-of-ann", { name: "ann", scopes: ["read"] }]]),
});

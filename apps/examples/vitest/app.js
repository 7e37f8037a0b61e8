import { container } from "@steward/container";
import { resource } from "@steward/core";

/** Stands for a database. */
export const db = resource("db", { start: () => ({ count: async () => 1_000 }) });

export const users = resource("users", {
  needs: { db },
  start: ({ db }) => ({ many: async () => (await db.count()) > 100 }),
});

export const app = container([users]);

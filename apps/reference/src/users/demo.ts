import { randomBytes } from "node:crypto";
import { resource } from "@steward/core";
import { transaction } from "@steward/database";
import { db } from "../resources/stores.ts";
import { auth } from "./auth.ts";
import { users } from "./users.ts";

const LOGIN = "demo";

/** An administrator for the first look, made where there is no user yet. */
export const demoUser = resource("demoUser", {
  needs: { db, auth, users },
  criticality: "optional",
  readiness: "ignore",
  start: ({ db, auth, users }) => ({
    /** Shows the password while the user is being made, this once: a kill never leaves one whose password no one has seen. */
    introduce: async (show: (login: string, password: string) => void): Promise<void> => {
      if ((await users.list()).length > 0) return;
      const password = randomBytes(12).toString("base64url");
      const hash = await auth.passwords.hash(password);
      await transaction(db, async (open) => {
        const added = await users.add(LOGIN, hash, ["admin"], open);
        if (added !== undefined) show(LOGIN, password); // else another instance was first
      });
    },
  }),
});

import { randomBytes } from "node:crypto";
import { resource } from "@steward/core";
import { auth } from "./auth.ts";
import { users } from "./users.ts";

const LOGIN = "demo";

/** An administrator for the first look: made where there is no user yet, with a password that is shown this once. */
export const demoUser = resource("demoUser", {
  needs: { auth, users },
  criticality: "optional",
  readiness: "ignore",
  start: async ({ auth, users }) => {
    if ((await users.list()).length > 0) return { login: LOGIN, password: undefined };
    const password = randomBytes(12).toString("base64url");
    const added = await users.add(LOGIN, await auth.passwords.hash(password), ["admin"]);
    return { login: LOGIN, password: added === undefined ? undefined : password }; // else another instance was first
  },
});

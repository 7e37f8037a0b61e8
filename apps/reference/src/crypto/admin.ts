import { createHash, timingSafeEqual } from "node:crypto";
import { setActor } from "@steward/core";
import { from, HttpError, perRequest } from "@steward/fastify";
import { settings } from "../settings.ts";

/** What an administrator may do. */
export const ROTATE = "keys:rotate";

/** Lets only requests through that know the token: `authorization: Bearer <CLIPS_ADMIN_TOKEN>`. */
export const admin = perRequest(
  "admin",
  { settings, token: from.bearer({ name: "admin", description: "CLIPS_ADMIN_TOKEN" }) },
  ({ settings: { adminToken }, token }) => {
    if (adminToken === undefined) throw new HttpError(403, "no request may do this here: CLIPS_ADMIN_TOKEN is not set");
    // Digests have one length whatever was given, so that the time discloses nothing.
    if (!timingSafeEqual(digest(token), digest(adminToken.reveal()))) {
      const headers = { "www-authenticate": 'Bearer error="invalid_token"' };
      throw new HttpError(401, "this needs the token of the administrator", { headers });
    }
    setActor("administrator");
    return { scopes: [ROTATE] };
  },
);

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

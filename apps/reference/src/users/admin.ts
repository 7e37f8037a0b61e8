import { from, handler, HttpError } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { ROLE_NAMES, type Role } from "./access.ts";
import { auth, permitted } from "./auth.ts";
import { users } from "./users.ts";

const tags = ["admin"];
const id = from.path("id", { type: "string", format: "uuid", maxLength: 36 });
const change = from.body("change", {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  properties: {
    roles: { type: "array", maxItems: 10, items: { type: "string", enum: ROLE_NAMES } },
    isDisabled: { type: "boolean" },
  },
});

/** `/admin/users`: each behind a permission. */
export function adminRoutes(app: FastifyInstance): void {
  app.get(
    "/admin/users",
    { schema: { tags, summary: "All users" } },
    handler({ me: permitted("users:read"), users }, async ({ users }) => ({ items: await users.list() })),
  );
  app.patch(
    "/admin/users/:id",
    { schema: { tags, summary: "Changes what a user may do; one who is disabled is signed out everywhere" } },
    handler({ me: permitted("users:write"), auth, users, id, change }, async ({ me, auth, users, id, change }) => {
      if (me.subject === id)
        throw new HttpError(409, "no one changes what they may do themselves: so one who may is always left");
      const changed = await users.change(id, change as { roles?: Role[]; isDisabled?: boolean }); // as the schema says
      if (changed === undefined) throw new HttpError(404, `there is no user ${id}`);
      if (changed.isDisabled) await auth.logoutEverywhere(id);
      return changed;
    }),
  );
}

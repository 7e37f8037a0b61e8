import { container } from "@steward/container";
import { from, perRequest, security } from "@steward/server";
import { handler, serve } from "@steward/server/node";
import { environment, portOf } from "../environment.ts";
import { users } from "../users.ts";

const me = perRequest("me", { users, token: from.bearer() }, ({ users, token }) => users.get(token));

/** `node:http` and nothing else: the server starts with the graph and drains before the rest stops. */
export const server = serve("server", {
  needs: { environment },
  listen: ({ environment }) => ({ port: portOf(environment) }),
  routes: [
    { method: "GET", path: "/me", handler: handler({ me: security(me, ["read"]) }, ({ me }) => ({ name: me?.name })) },
  ],
});

export const app = container([server], { name: "http" });

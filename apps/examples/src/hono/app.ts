import { container } from "@steward/container";
import { from, handler, honoServer, perRequest, security, steward } from "@steward/hono";
import { Hono } from "hono";
import { environment, portOf } from "../environment.ts";
import { users } from "../users.ts";

const me = perRequest("me", { users, token: from.bearer() }, ({ users, token }) => users.get(token));

/** Hono on Node: its routes and middleware, with the scope and the deadline of each request. */
export const server = honoServer("server", {
  needs: { environment },
  listen: ({ environment }) => ({ port: portOf(environment) }),
  app: (_needs, running) => {
    const app = new Hono();
    steward(app, { running });
    app.get(
      "/me",
      handler({ me: security(me, ["read"]) }, ({ me }) => ({ name: me?.name })),
    );
    return app;
  },
});

export const app = container([server, users], { name: "hono" });

import { container } from "@steward/container";
import { expressServer, from, handler, perRequest, problems, security, steward } from "@steward/express";
import express from "express";
import { environment, portOf } from "../environment.ts";
import { users } from "../users.ts";

const me = perRequest("me", { users, token: from.bearer() }, ({ users, token }) => users.get(token));

/** Express as you know it, with any middleware; routes that need resources say so. */
export const server = expressServer("server", {
  needs: { environment },
  listen: ({ environment }) => ({ port: portOf(environment) }),
  app: (_needs, running) => {
    const app = express();
    steward(app, { running });
    app.get(
      "/me",
      handler({ me: security(me, ["read"]) }, ({ me }) => ({ name: me?.name })),
    );
    return app.use(problems());
  },
});

export const app = container([server, users], { name: "express" });

import { Controller, Get, Inject } from "@nestjs/common";
import { container } from "@steward/container";
import { from, Needs, nestServer, perRequest, security, token } from "@steward/nest";
import { environment, portOf } from "../environment.ts";
import { type User, users } from "../users.ts";

const me = perRequest("me", { users, token: from.bearer() }, ({ users, token }) => users.get(token));

@Controller("me")
class Me {
  readonly users: ReadonlyMap<string, User>;

  // What the server needs, the classes of Nest are given by its token.
  constructor(@Inject(token(users)) known: ReadonlyMap<string, User>) {
    this.users = known;
  }

  @Get()
  @Needs({ me: security(me, ["read"]) })
  get({ me }: { readonly me: User | undefined }): object {
    return { name: me?.name };
  }
}

/** Controllers, pipes and modules of Nest; what has to be started, watched and stopped is in the graph. */
export const server = nestServer("server", {
  needs: { environment, users },
  module: { controllers: [Me] },
  listen: ({ environment }) => ({ port: portOf(environment) }),
});

export const app = container([server], { name: "nest" });

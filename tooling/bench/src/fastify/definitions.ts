import { resource } from "@steward/core";
import { from } from "@steward/server";
import * as does from "./graph.ts";

const lifetime = "handler";

/** Each as it is, or as an async function, as it would be if it had something to wait for. */
type As = <Input extends unknown[], Output>(work: (...input: Input) => Output) => (...input: Input) => Output;

/** Dependencies as they are. */
export const plain: As = (work) => work;
/** Dependencies as async functions. */
// A resource takes a promise of its value like the value, so the type may stay that of the value.
export const later: As = (work) => (async (...input: Parameters<typeof work>) => work(...input)) as typeof work;

/** What comes from the request, and the session that the others share. */
function below(as: As) {
  const [tenantOf, tokenOf, pageOf] = [as(does.tenantOf), as(does.tokenOf), as(does.pageOf)];
  const tenant = resource("tenant", {
    lifetime,
    needs: { header: from.header("x-tenant") },
    start: ({ header }) => tenantOf(header),
  });
  const token = resource("token", {
    lifetime,
    needs: { header: from.header("x-token") },
    start: ({ header }) => tokenOf(header),
  });
  const page = resource("page", {
    lifetime,
    needs: { limit: from.query("limit", { type: "integer", default: 20 }) },
    start: ({ limit }) => pageOf(limit),
  });
  const session = resource("session", {
    lifetime,
    needs: { tenant },
    async *start({ tenant }) {
      const session = does.openSession(tenant);
      try {
        yield session;
        does.commitSession(session);
      } finally {
        does.releaseSession(session);
      }
    },
  });
  return { tenant, token, page, session };
}

/** The graph as definitions. */
export function graph(as: As) {
  const [userOf, permissionsOf, repositoryOf] = [as(does.userOf), as(does.permissionsOf), as(does.repositoryOf)];
  const [filterOf, serviceOf, auditOf] = [as(does.filterOf), as(does.serviceOf), as(does.auditOf)];
  const { tenant, token, page, session } = below(as);
  const user = resource("user", {
    lifetime,
    needs: { token, session },
    start: ({ token, session }) => userOf(token, session),
  });
  const permissions = resource("permissions", { lifetime, needs: { user }, start: ({ user }) => permissionsOf(user) });
  const repository = resource("repository", {
    lifetime,
    needs: { session, user },
    start: ({ session, user }) => repositoryOf(session, user),
  });
  const filter = resource("filter", {
    lifetime,
    needs: { page, user },
    start: ({ page, user }) => filterOf(page, user),
  });
  const service = resource("service", {
    lifetime,
    needs: { repository, filter, permissions },
    start: ({ repository, filter, permissions }) => serviceOf(repository, filter, permissions),
  });
  const audit = resource("audit", {
    lifetime,
    needs: { user, tenant },
    start: ({ user, tenant }) => auditOf(user, tenant),
  });
  return { service, audit };
}

import { container } from "@steward/container";
import { resource } from "@steward/core";
import { from, handler, steward } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { bareApp, type Form } from "./contender.ts";
import * as does from "./graph.ts";

const lifetime = "handler";

/** Each as it is, or as an async function, as it would be if it had something to wait for. */
type As = <Input extends unknown[], Output>(work: (...input: Input) => Output) => (...input: Input) => Output;

const plain: As = (work) => work;
// A resource takes a promise of its value like the value, so the type may stay that of the value.
const later: As = (work) => (async (...input: Parameters<typeof work>) => work(...input)) as typeof work;

/** The graph as definitions. */
export async function withSteward(form: Form): Promise<FastifyInstance> {
  const app = bareApp();
  await app.register(steward, { container: container([]), timeoutMs: does.TIMEOUT_MS });
  const needs = graph(form === "plain" ? plain : later);
  app.get(
    "/di",
    handler(needs, ({ service, audit }): does.Answer => ({ items: service.list(), audit })),
  );
  return app;
}

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

function graph(as: As) {
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

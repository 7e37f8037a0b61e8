import { container } from "@steward/container";
import { resource } from "@steward/core";
import { header, inject, query, steward } from "@steward/fastify";
import type { FastifyInstance } from "fastify";
import { bareApp, type Form } from "./contender.ts";
import {
  auditOf,
  commitSession,
  filterOf,
  openSession,
  pageOf,
  permissionsOf,
  releaseSession,
  repositoryOf,
  serviceOf,
  tenantOf,
  tokenOf,
  TIMEOUT_MS,
  userOf,
  type Answer,
} from "./graph.ts";

const inputs = {
  tenantHeader: header("x-tenant"),
  tokenHeader: header("x-token"),
  limit: query("limit", { type: "integer", default: 20 }),
};

/** The graph as definitions. */
export async function withSteward(form: Form): Promise<FastifyInstance> {
  const app = bareApp();
  await app.register(steward, { container: container([]), timeoutMs: TIMEOUT_MS });
  app.get(
    "/di",
    inject(form === "plain" ? plainGraph() : asyncGraph(), ({ service, audit }): Answer => ({
      items: service.list(),
      audit,
    })),
  );
  return app;
}

function plainGraph() {
  const lifetime = "handler";
  const tenant = resource("tenant", {
    lifetime,
    needs: { header: inputs.tenantHeader },
    start: ({ header }) => tenantOf(header),
  });
  const token = resource("token", {
    lifetime,
    needs: { header: inputs.tokenHeader },
    start: ({ header }) => tokenOf(header),
  });
  const page = resource("page", { lifetime, needs: { limit: inputs.limit }, start: ({ limit }) => pageOf(limit) });
  const session = sessionOf(tenant);
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

function asyncGraph() {
  const lifetime = "handler";
  const tenant = resource("tenant", {
    lifetime,
    needs: { header: inputs.tenantHeader },
    start: async ({ header }) => tenantOf(header),
  });
  const token = resource("token", {
    lifetime,
    needs: { header: inputs.tokenHeader },
    start: async ({ header }) => tokenOf(header),
  });
  const page = resource("page", {
    lifetime,
    needs: { limit: inputs.limit },
    start: async ({ limit }) => pageOf(limit),
  });
  const session = sessionOf(tenant);
  const user = resource("user", {
    lifetime,
    needs: { token, session },
    start: async ({ token, session }) => userOf(token, session),
  });
  const permissions = resource("permissions", {
    lifetime,
    needs: { user },
    start: async ({ user }) => permissionsOf(user),
  });
  const repository = resource("repository", {
    lifetime,
    needs: { session, user },
    start: async ({ session, user }) => repositoryOf(session, user),
  });
  const filter = resource("filter", {
    lifetime,
    needs: { page, user },
    start: async ({ page, user }) => filterOf(page, user),
  });
  const service = resource("service", {
    lifetime,
    needs: { repository, filter, permissions },
    start: async ({ repository, filter, permissions }) => serviceOf(repository, filter, permissions),
  });
  const audit = resource("audit", {
    lifetime,
    needs: { user, tenant },
    start: async ({ user, tenant }) => auditOf(user, tenant),
  });
  return { service, audit };
}

function sessionOf(tenant: ReturnType<typeof tenantDefinition>) {
  return resource("session", {
    lifetime: "handler",
    needs: { tenant },
    async *start({ tenant }) {
      const session = openSession(tenant);
      try {
        yield session;
        commitSession(session);
      } finally {
        releaseSession(session);
      }
    },
  });
}

/** For the type of its result alone. */
function tenantDefinition() {
  return resource("tenant", {
    lifetime: "handler",
    needs: { header: inputs.tenantHeader },
    start: ({ header }) => tenantOf(header),
  });
}

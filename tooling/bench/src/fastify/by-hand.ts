import { runWithContext, type RequestContext } from "@steward/core";
import { uuid7 } from "@steward/fastify";
import type { FastifyInstance, FastifyRequest } from "fastify";
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
  type Session,
} from "./graph.ts";

const schema = {
  headers: {
    type: "object",
    required: ["x-tenant", "x-token"],
    properties: { "x-tenant": { type: "string" }, "x-token": { type: "string" } },
  },
  querystring: { type: "object", properties: { limit: { type: "integer", default: 20 } } },
} as const;

const ID = /^[\w.:-]{1,128}$/;

interface Route {
  readonly Headers: { readonly "x-tenant": string; readonly "x-token": string };
  readonly Querystring: { readonly limit: number };
}

type Asked = FastifyRequest<Route>;

/** The graph as one would write it without any framework for it, with the same id, deadline, context and log. */
export async function byHand(form: Form): Promise<FastifyInstance> {
  const app = bareApp();
  app.setGenReqId(({ headers }) => {
    const given = headers["x-request-id"];
    return typeof given === "string" && ID.test(given) ? given : uuid7();
  });
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-request-id", request.id);
    done();
  });
  app.addHook("onResponse", (request, reply, done) => {
    const line = {
      method: request.method,
      url: request.url,
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
    };
    request.log.info(line, "request");
    done();
  });
  const answer = form === "plain" ? plain : awaited;
  app.get<Route>("/di", { schema }, (request) => runWithContext(contextOf(request), () => answer(request)));
  return app;
}

function contextOf(request: Asked): RequestContext {
  return {
    requestId: request.id,
    deadline: performance.now() + TIMEOUT_MS,
    get signal() {
      return request.signal;
    },
  };
}

async function inSession(tenant: string, work: (session: Session) => Answer | Promise<Answer>): Promise<Answer> {
  const session = openSession(tenant);
  try {
    const answer = await work(session);
    commitSession(session);
    return answer;
  } finally {
    releaseSession(session);
  }
}

/** The graph, called by hand. */
export function plain({ headers, query }: Pick<Asked, "headers" | "query">): Promise<Answer> {
  const tenant = tenantOf(headers["x-tenant"]);
  const token = tokenOf(headers["x-token"]);
  return inSession(tenant, (session) => {
    const user = userOf(token, session);
    const repository = repositoryOf(session, user);
    const filter = filterOf(pageOf(query.limit), user);
    const service = serviceOf(repository, filter, permissionsOf(user));
    return { items: service.list(), audit: auditOf(user, tenant) };
  });
}

/* Each as an async function of its own, as it would be if it had something to wait for. */
const later = {
  tenant: async (header: string) => tenantOf(header),
  token: async (header: string) => tokenOf(header),
  page: async (limit: number) => pageOf(limit),
  user: async (token: string, session: Session) => userOf(token, session),
  permissions: async (...user: Parameters<typeof permissionsOf>) => permissionsOf(...user),
  repository: async (...of: Parameters<typeof repositoryOf>) => repositoryOf(...of),
  filter: async (...of: Parameters<typeof filterOf>) => filterOf(...of),
  service: async (...of: Parameters<typeof serviceOf>) => serviceOf(...of),
  audit: async (...of: Parameters<typeof auditOf>) => auditOf(...of),
};

async function awaited({ headers, query }: Asked): Promise<Answer> {
  const tenant = await later.tenant(headers["x-tenant"]);
  const token = await later.token(headers["x-token"]);
  return inSession(tenant, async (session) => {
    const user = await later.user(token, session);
    const repository = await later.repository(session, user);
    const filter = await later.filter(await later.page(query.limit), user);
    const service = await later.service(repository, filter, await later.permissions(user));
    return { items: service.list(), audit: await later.audit(user, tenant) };
  });
}

import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods, RouteOptions } from "fastify";
import { serverError, type JsonSchema } from "@steward/server";
import { withComponents } from "./components.ts";
import { finished, type Documentation } from "./openapi.ts";
import type { OpenApiOptions } from "./options.ts";
import { withOperationIds } from "./operation-ids.ts";

/** Keeps a route out of the document. */
export const HIDDEN: FastifySchema = { hide: true } as FastifySchema; // `hide` is @fastify/swagger's

/** A route, and the part of the app that it was added to. */
interface Seen {
  readonly route: RouteOptions;
  readonly app: FastifyInstance;
}

/** Headers that the server itself sets. */
const OWN_HEADERS = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);
const METHODS: readonly string[] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"];

/**
 * Serves the document, and the page for people where `@fastify/swagger-ui` is installed. Both are made at the first
 * request for them, in an app of their own: few processes are ever asked, and it takes about as long as loading Fastify.
 */
export function serveDocument(app: FastifyInstance, options: OpenApiOptions, documentation: Documentation): void {
  const { path = "/openapi.json", docs = "/docs" } = options;
  const seen: Seen[] = [];
  app.addHook("onRoute", function (route) {
    seen.push({ route, app: this });
  });
  app.addHook("onReady", async () => {
    refuseTwins(seen);
    const { undescribed } = documentation;
    if (undescribed.length === 0) return;
    app.log.warn(
      `the document does not say what these hold, because the library of their schemas gives no JSON schema: ${undescribed.join(", ")}; give a JSON schema, or a schema whose library has Standard JSON Schema (for valibot see @valibot/to-json-schema)`,
    );
  });
  const page = docs !== false && isInstalled("@fastify/swagger-ui") ? docs : undefined;
  if (docs !== false && page === undefined) app.log.warn(`no page at ${docs}: @fastify/swagger-ui is not installed`);
  let made: Promise<FastifyInstance> | undefined;
  const documents = (): Promise<FastifyInstance> =>
    (made ??= makeDocuments(seen, options, page, documentation).catch((error: unknown) => {
      made = undefined;
      throw error;
    }));
  app.get(path, { schema: HIDDEN }, async () => (await documents()).swagger());
  if (page === undefined) return;
  const show = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const answer = await (await documents()).inject({ method: "GET", url: request.url, headers: request.headers });
    for (const [name, value] of Object.entries(answer.headers))
      if (value !== undefined && !OWN_HEADERS.has(name)) reply.header(name, value);
    return reply.code(answer.statusCode).send(answer.rawPayload);
  };
  for (const url of [page, `${page}/*`]) app.get(url, { schema: HIDDEN }, show);
}

function isInstalled(name: string): boolean {
  try {
    return import.meta.resolve(name) !== "";
  } catch {
    return false;
  }
}

/** An app that knows all routes by their schemas, answers none of them, and describes them. */
async function makeDocuments(
  seen: readonly Seen[],
  options: OpenApiOptions,
  page: string | undefined,
  documentation: Documentation,
): Promise<FastifyInstance> {
  const { fastify } = await import("fastify");
  const { default: swagger } = await import("@fastify/swagger");
  const app = fastify({ exposeHeadRoutes: false });
  app.setValidatorCompiler(() => () => true).setSerializerCompiler(() => JSON.stringify);
  for (const schema of sharedSchemas(seen)) app.addSchema(schema);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      ...headOf(options),
      components: { securitySchemes: documentation.schemes.document as never },
    }, // ours is of OpenAPI too, with fewer names
    refResolver: {
      buildLocalReference: ({ $id }, _base, _fragment, i) => (typeof $id === "string" ? $id : `def-${i}`),
    },
    transform: ({ schema, url, route }) => ({ schema: onPath(documentation.schemaOf({ ...route, schema }), url), url }),
    transformObject: (made) => {
      const document = ("openapiObject" in made ? made.openapiObject : {}) as Record<string, unknown>; // of OpenAPI, as asked for
      const { transform = (same) => same, operationId } = options;
      return transform(withOperationIds(withComponents(finished(document, documentation.problem)), operationId));
    },
  });
  for (const route of operations(seen)) app.route(route);
  if (page !== undefined) {
    const { default: swaggerUi } = await import("@fastify/swagger-ui");
    await app.register(swaggerUi, { routePrefix: page, uiConfig: { deepLinking: true, validatorUrl: null } });
  }
  await app.ready();
  return app;
}

/** What a document says of the whole API. */
function headOf({ servers = [], tags, externalDocs, ...options }: OpenApiOptions): object {
  const { title, version, summary, description, termsOfService, contact, license } = options;
  const all = { title, version, summary, description, termsOfService, contact, license };
  const info = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return {
    info,
    servers: [...servers],
    ...(tags === undefined ? {} : { tags: [...tags] }),
    ...(externalDocs === undefined ? {} : { externalDocs }),
  };
}

function sharedSchemas(seen: readonly Seen[]): unknown[] {
  const byId = new Map<string, unknown>();
  for (const app of new Set(seen.map((one) => one.app)))
    for (const [id, schema] of Object.entries(app.getSchemas())) byId.set(id, schema);
  return [...byId.values()];
}

/** Each operation once: a document cannot distinguish versions or hosts of a route. */
function* operations(seen: readonly Seen[]): Iterable<RouteOptions> {
  const known = new Set<string>();
  for (const { route } of seen) {
    if ((route.schema as { readonly hide?: boolean } | undefined)?.hide === true) continue; // `hide` is @fastify/swagger's
    for (const method of [route.method].flat()) {
      const key = `${method} ${route.url}`;
      if (known.has(key) || !METHODS.includes(method)) continue;
      known.add(key);
      const { schema, handler, config } = route;
      for (const [i, url] of pathsOf(route.url).entries())
        yield {
          method: method as HTTPMethods, // it is one of METHODS
          url,
          handler,
          ...(schema === undefined ? {} : { schema: i === 0 ? schema : withoutId(schema) }),
          ...(config === undefined ? {} : { config }),
        };
    }
  }
}

/** The paths of a route: two where its last parameter may be missing, which OpenAPI cannot say of one path. */
function pathsOf(url: string): string[] {
  const optional = /^(.*)\/:(\w+)\?$/.exec(url);
  return optional === null
    ? [url]
    : [`${optional[1]}/:${optional[2]}`, optional[1] === "" ? "/" : (optional[1] ?? "/")];
}

/** An operation's id stands in a document once. */
function withoutId(schema: FastifySchema): FastifySchema {
  const { operationId: _, ...rest } = schema as FastifySchema & { readonly operationId?: unknown }; // @fastify/swagger's
  return rest;
}

/** A route's schema with the parameters of one of its paths alone. */
function onPath(schema: FastifySchema, url: string): FastifySchema {
  const { params } = schema as { readonly params?: JsonSchema };
  if (params?.properties === undefined) return schema;
  const names = new Set([...url.matchAll(/:(\w+)/g)].map(([, name]) => name ?? ""));
  if (url.includes("*")) names.add("*");
  const properties = Object.fromEntries(Object.entries(params.properties).filter(([name]) => names.has(name)));
  const required = [...names].filter((name) => name in properties); // OpenAPI has no optional ones
  return { ...schema, params: names.size === 0 ? undefined : { ...params, properties, required } } as FastifySchema; // as it was
}

/** Refuses two operations of one id: client generators make one method of them. @throws {ROUTE_INVALID} naming both. */
function refuseTwins(seen: readonly Seen[]): void {
  const byId = new Map<string, string>();
  for (const { method, url, schema } of operations(seen)) {
    const { operationId: id } = (schema ?? {}) as { readonly operationId?: string }; // as above
    const name = `${[method].flat().join()} ${url}`;
    const twin = id === undefined ? undefined : byId.get(id);
    if (twin !== undefined)
      throw serverError("ROUTE_INVALID", `${twin} and ${name} have one operationId, "${id}": give one of them another`);
    if (id !== undefined) byId.set(id, name);
  }
}

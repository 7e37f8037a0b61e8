import type { FastifySchema, RouteOptions } from "fastify";
import { NamedSchemas, withNames } from "./components.ts";
import { jsonSchemaOf, Schemes, securityOf, type Description, type JsonSchema, type Parameter } from "@steward/server";

/** What the document has to know of each route. */
export class Documentation {
  readonly schemes: Schemes = new Schemes();
  readonly #names = new NamedSchemas();
  readonly #described = new Map<unknown, Description>();
  /** The schema of error answers. */
  readonly problem: JsonSchema;
  readonly #invalidStatus: number;

  constructor(problem: JsonSchema, invalidStatus: number) {
    this.problem = problem;
    this.#invalidStatus = invalidStatus;
  }

  /** Notes what a route takes. `config` is what Fastify keeps of the route, however often it copies its options. */
  note(handler: unknown, description: Description): void {
    this.schemes.add(description.demands);
    for (const { schema, inDocument } of description.parameters) if (inDocument) this.#names.add(jsonSchemaOf(schema));
    this.#described.set(handler, description);
  }

  /** Inputs that stand in the document without a schema, because the library of theirs gives none. */
  get undescribed(): readonly string[] {
    const shown = [...this.#described.values()].flatMap(({ parameters }) =>
      parameters.filter(({ inDocument, schema }) => inDocument && jsonSchemaOf(schema) === undefined),
    );
    return [...new Set(shown.map(({ place, name }) => `${place} "${name}"`))];
  }

  /** A route's schema with everything that its dependencies take. */
  schemaOf(route: Pick<RouteOptions, "schema" | "handler">): FastifySchema {
    const own = route.schema ?? {};
    const description = this.#described.get(route.handler);
    if (description === undefined) return own;
    const shown = description.parameters.filter(({ inDocument }) => inDocument);
    const merged: Record<string, unknown> = { ...own };
    for (const [key, place] of PLACES) merge(merged, key, objectOf(shown.filter((one) => one.place === place)));
    const body = bodyOf(shown, description);
    if (body !== undefined) Object.assign(merged, body);
    const security = securityOf(description.demands);
    if (security !== undefined) merged["security"] = security;
    merged["response"] = this.#responses(own.response, description);
    return merged as FastifySchema; // made of schemas alone
  }

  #responses(
    own: unknown,
    { parameters, demands, refusals, takesKey }: Description,
  ): Readonly<Record<string, unknown>> {
    const responses: Record<string, unknown> =
      own === undefined ? { 200: { description: "Success" } } : { ...(own as object) }; // Fastify's own type for it
    if (parameters.length > 0)
      responses[this.#invalidStatus] ??= {
        description: "The input is not valid",
        content: problemContent(this.problem),
      };
    for (const { scheme } of demands)
      if (scheme.required)
        responses[scheme.missingStatus] ??= { description: "Not authenticated", content: problemContent(this.problem) };
    if (demands.some(({ scopes }) => scopes.length > 0))
      responses["403"] ??= { description: "Not enough permissions", content: problemContent(this.problem) };
    for (const { status, description } of refusals)
      responses[status] ??= { description, content: problemContent(this.problem) };
    if (takesKey)
      responses["409"] ??= {
        description: "The request with this key is being answered",
        content: problemContent(this.problem),
      };
    return responses;
  }
}

function problemContent(schema: JsonSchema): Readonly<Record<string, unknown>> {
  return {
    [schema["x-fastapi"] === true ? "application/json" : "application/problem+json"]: { schema: withoutMark(schema) },
  };
}

function withoutMark({ "x-fastapi": _, ...schema }: JsonSchema): JsonSchema {
  return schema;
}

const PLACES = [
  ["params", "path"],
  ["querystring", "query"],
  ["headers", "header"],
  ["cookies", "cookie"],
] as const;

function documented({ schema, description }: Parameter): JsonSchema {
  const json = withNames(jsonSchemaOf(schema) ?? {});
  if (description === undefined) return json;
  return "$ref" in json || "x-steward-name" in json ? { allOf: [json], description } : { ...json, description };
}

function objectOf(parameters: readonly Parameter[]): JsonSchema | undefined {
  if (parameters.length === 0) return undefined;
  const properties = Object.fromEntries(parameters.map((one) => [one.name, documented(one)]));
  const required = [...new Set(parameters.filter((one) => one.required).map(({ name }) => name))];
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }) };
}

/** What the route says itself stays; what its dependencies take comes to it. */
function merge(into: Record<string, unknown>, key: string, more: JsonSchema | undefined): void {
  if (more === undefined) return;
  const own = into[key] as JsonSchema | undefined; // a schema, by Fastify's own check
  if (own === undefined) return void (into[key] = more);
  const required = [...new Set([...(own.required ?? []), ...(more.required ?? [])])];
  into[key] = {
    ...own,
    type: "object",
    properties: { ...more.properties, ...own.properties },
    ...(required.length === 0 ? {} : { required }),
  };
}

function bodyOf(
  parameters: readonly Parameter[],
  { embedsBodies }: Description,
): { readonly body: JsonSchema; readonly consumes?: readonly string[] } | undefined {
  const bodies = parameters.filter(({ place }) => place === "body");
  const [first] = bodies;
  if (first !== undefined) return { body: embedsBodies ? (objectOf(bodies) ?? {}) : documented(first) };
  const fields = objectOf(parameters.filter(({ place }) => place === "form" || place === "file"));
  if (fields === undefined) return undefined;
  const multipart = parameters.some(({ place }) => place === "file");
  return {
    body: fields,
    consumes: multipart ? ["multipart/form-data"] : ["application/x-www-form-urlencoded", "multipart/form-data"],
  };
}

const ORDER = ["path", "query", "header", "cookie"];

/** What @fastify/swagger does otherwise: bodies are required, and parameters have an order. */
export function finished(document: Record<string, unknown>, problem: JsonSchema): Record<string, unknown> {
  const { paths, components } = document as unknown as Parts; // @fastify/swagger makes them
  const [written, shared] = [JSON.stringify(withoutMark(problem)), { $ref: "#/components/schemas/Problem" }];
  let isUsed = false;
  for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods))) {
    operation.parameters?.sort((a, b) => ORDER.indexOf(a.in) - ORDER.indexOf(b.in));
    if (operation.requestBody !== undefined) operation.requestBody.required ??= true;
    for (const { content = {} } of Object.values(operation.responses ?? {}))
      for (const media of Object.values(content)) {
        if (JSON.stringify(media.schema) !== written) continue;
        media.schema = shared;
        isUsed = true;
      }
  }
  if (isUsed) components.schemas = { ...components.schemas, Problem: withoutMark(problem) };
  return document;
}

interface Parts {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas?: Record<string, unknown> };
}

interface Operation {
  readonly responses?: Record<string, { readonly content?: Record<string, { schema?: unknown }> }>;
  readonly parameters?: { readonly in: string }[];
  readonly requestBody?: { required?: boolean };
}

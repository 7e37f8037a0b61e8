import type { FastifyInstance, FastifyRequest } from "fastify";
import { HttpError } from "@steward/server";

/** The methods that a pattern of paths has routes for. */
interface Known {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/** Answers what has no route: 405 with `allow` where the path has routes of other methods, else 404. */
export function answerUnknown(app: FastifyInstance): void {
  const routes = new Map<string, Known>();
  app.addHook("onRoute", ({ url, method }) => {
    if (url === "*" || url === "/*") return; // it says nothing of the path
    let known = routes.get(url);
    if (known === undefined) routes.set(url, (known = { pattern: patternOf(url), methods: new Set<string>() }));
    for (const one of [method].flat()) known.methods.add(one);
  });
  app.setNotFoundHandler(async (request) => {
    throw refusal(request, routes.values());
  });
}

function refusal({ url, method }: FastifyRequest, routes: Iterable<Known>): HttpError {
  const path = url.replace(/[?#;].*$/s, "");
  const methods = new Set<string>();
  for (const known of routes) if (known.pattern.test(path)) for (const one of known.methods) methods.add(one);
  if (methods.size === 0 || methods.has(method)) return new HttpError(404, `there is no ${path}`);
  const allow = [...methods].sort().join(", ");
  return new HttpError(405, `method not allowed: this path has ${allow}`, { headers: { allow } });
}

/** What a route's URL may look like, a little wider than Fastify has it: parameters may have rules of their own. */
function patternOf(url: string): RegExp {
  const parts = url.split(/(:\w+(?:\([^)]*\))?\??|\*)/);
  const source = parts.map((part) => {
    if (part === "*") return ".*";
    return part.startsWith(":") ? "[^/]+" : part.replaceAll(/[$()+.?[\\\]^{|}]/g, "\\$&");
  });
  return new RegExp(`^${source.join("")}$`);
}

import type { FastifyInstance, FastifyRequest } from "fastify";
import { DEMO_POLICY } from "./demo.ts";
import { page } from "./html.ts";
import { overviewOf } from "./overview.ts";

/** `GET /`: what runs and how it is; a page for browsers, JSON for `accept: application/json`. */
export function frontPage(app: FastifyInstance, details: boolean, managementPort: number | undefined): void {
  app.get("/", { schema: { tags: ["health"], summary: "What runs" } }, async (request, reply) => {
    const overview = overviewOf(app.steward.running, details, managementPort);
    reply.header("cache-control", "no-store").header("vary", "accept");
    if (!wantsHtml(request)) return overview;
    reply
      .type("text/html; charset=utf-8")
      .header(
        "content-security-policy",
        `default-src 'none'; style-src 'unsafe-inline'; ${DEMO_POLICY}; base-uri 'none'; frame-ancestors 'none'`,
      );
    return page(overview, `${request.protocol}://${request.host}`);
  });
}

/** A client that names JSON before HTML, or JSON and no HTML, gets JSON. */
function wantsHtml({ headers: { accept = "*/*" } }: FastifyRequest): boolean {
  const [json, html] = [accept.indexOf("json"), accept.search(/html/)];
  return json < 0 || (html >= 0 && html < json);
}

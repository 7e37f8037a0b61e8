import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { inPackage } from "../folders.ts";
import { overviewOf } from "../operators/overview.ts";

const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" } as const;

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; " +
  "form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/**
 * `GET /`: the product's page for browsers, and what runs for `accept: application/json`; `/page/*`: what the page is made
 * of, served as it is written: nothing builds it, and browsers load nothing else.
 */
export async function frontPage(
  app: FastifyInstance,
  details: boolean,
  managementPort: number | undefined,
): Promise<void> {
  const parts = (await readdir(inPackage("page"))).filter((name) => /\.(css|js|svg)$/.test(name));
  const [html, files] = await Promise.all([pageFile("index.html"), Promise.all(parts.map(pageFile))]);
  app.get("/", { schema: { tags: ["health"], summary: "The page of Clips; as JSON, what runs" } }, (request, reply) => {
    reply.header("vary", "accept");
    if (wantsHtml(request)) return send(request, reply.header("content-security-policy", POLICY), html);
    return reply.header("cache-control", "no-store").send(overviewOf(app.steward.running, details, managementPort));
  });
  for (const file of files)
    app.get(`/page/${file.name}`, { schema: { hide: true } }, (request, reply) => send(request, reply, file));
}

/** A file of the page. */
interface PageFile {
  readonly name: string;
  readonly type: string;
  readonly etag: string;
  readonly content: Buffer;
}

async function pageFile(name: string): Promise<PageFile> {
  const content = await readFile(inPackage("page", name));
  const ending = name.slice(name.lastIndexOf(".") + 1) as keyof typeof TYPES; // of the list above
  const etag = `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`;
  return { name, type: `${TYPES[ending]}; charset=utf-8`, etag, content };
}

function send({ headers }: FastifyRequest, reply: FastifyReply, { type, etag, content }: PageFile): FastifyReply {
  reply.header("etag", etag).header("cache-control", "no-cache").header("x-content-type-options", "nosniff");
  reply.header("referrer-policy", "no-referrer");
  return headers["if-none-match"] === etag ? reply.code(304).send() : reply.type(type).send(content);
}

/** A client that names JSON before HTML, or JSON and no HTML, gets JSON. */
function wantsHtml({ headers: { accept = "*/*" } }: FastifyRequest): boolean {
  const [json, html] = [accept.indexOf("json"), accept.search(/html/)];
  return json < 0 || (html >= 0 && html < json);
}

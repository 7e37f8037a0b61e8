import type { ServerResponse } from "node:http";
import type { ErrorBody } from "@steward/server";

/** Sends an error past Fastify and its hooks: for what has gone wrong there. An answer that has begun is broken off. */
export function answerPlainly(
  response: ServerResponse,
  { answer, type, body }: ErrorBody,
  headers: Readonly<Record<string, number | string | string[] | undefined>>,
): void {
  if (response.headersSent) return void (response.writableEnded || response.destroy());
  const text = JSON.stringify(body);
  const own = { "content-type": `${type}; charset=utf-8`, "content-length": Buffer.byteLength(text) };
  for (const [name, value] of Object.entries({ ...headers, ...answer.headers, ...own })) {
    try {
      if (value !== undefined) response.setHeader(name, value);
    } catch {
      // it may be what has gone wrong
    }
  }
  response.statusCode = answer.status;
  response.end(response.req.method === "HEAD" ? undefined : text);
}

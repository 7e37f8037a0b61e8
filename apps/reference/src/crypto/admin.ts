import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../problem.ts";

/**
 * Lets only requests through that know the token: `authorization: Bearer <CLIPS_ADMIN_TOKEN>`.
 * @throws {ApiError} with status 401, or 403 where there is no token at all.
 */
export function requireAdmin({ headers }: FastifyRequest, reply: FastifyReply, token: string | undefined): void {
  if (token === undefined) throw new ApiError(403, "no request may do this here: CLIPS_ADMIN_TOKEN is not set");
  const [, given = ""] = /^Bearer (\S+)$/i.exec(headers.authorization ?? "") ?? [];
  // Digests have one length whatever was given, so that the time tells nothing.
  if (timingSafeEqual(digest(given), digest(token))) return;
  reply.header("www-authenticate", 'Bearer realm="clips"');
  throw new ApiError(401, "this needs the token of the administrator");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

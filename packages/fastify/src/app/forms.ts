import type { Readable } from "node:stream";
import { textOf, urlencodedFields } from "@steward/server";
import type { FastifyInstance, FastifyRequest } from "fastify";

const URLENCODED = "application/x-www-form-urlencoded";
const MULTIPART = "multipart/form-data";

/** Bodies that are read once somebody needs them. */
const unread = new WeakMap<FastifyRequest, Readable>();

/** Lets an app take forms, unless it can already. Multipart forms are read when a route needs them. */
export function takeForms(app: FastifyInstance): void {
  if (!app.hasContentTypeParser(URLENCODED))
    app.addContentTypeParser(URLENCODED, { parseAs: "buffer" }, async (_request: FastifyRequest, body: Buffer) =>
      urlencodedFields(textOf(body)),
    );
  if (app.hasContentTypeParser(MULTIPART)) return;
  app.addContentTypeParser(MULTIPART, (request, payload, done) => {
    unread.set(request, payload);
    done(null);
  });
}

/** The bytes of a request's body, as hooks of the app have left them. */
export function bodyOfRequest(request: FastifyRequest): Readable {
  return unread.get(request) ?? request.raw;
}

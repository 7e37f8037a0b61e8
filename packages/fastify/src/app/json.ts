import { textOf } from "@steward/server";
import { JSON_TYPE } from "@steward/server/node";
import type { FastifyInstance, FastifyRequest } from "fastify";

const JSON_ITSELF = "application/json";
const IN_BYTES = { parseAs: "buffer" } as const;

type Parser = (request: FastifyRequest, body: Buffer, done: (error: Error | null, value?: unknown) => void) => void;

/**
 * Lets an app take JSON that is UTF-8, types such as `application/vnd.api+json` too: Fastify's own parser makes a text of
 * any bytes. A parser of the app's own, added before or afterwards, comes first.
 */
export function takeJson(app: FastifyInstance): void {
  if (app.hasContentTypeParser(JSON_TYPE)) return;
  const { onProtoPoisoning = "error", onConstructorPoisoning = "error" } = app.initialConfig;
  const parse = app.getDefaultJsonParser(onProtoPoisoning, onConstructorPoisoning) as Function as Parser; // it calls back, as parsers may
  const parser: Parser = (request, body, done) => {
    let text: string;
    try {
      text = textOf(body);
    } catch (error) {
      return done(error as Error); // an `HttpError`
    }
    parse(request, text as never, done); // it takes a text as well
  };
  removeFastifysOwn(app, parser);
  app.addContentTypeParser(JSON_TYPE, IN_BYTES, parser as never); // the types know bytes as a text's
}

/** Fastify lets no parser of a type be replaced but its own, by which it is known; one of a pattern comes after those of types. */
function removeFastifysOwn(app: FastifyInstance, parser: Parser): void {
  try {
    app.addContentTypeParser(JSON_ITSELF, IN_BYTES, parser as never); // as above
  } catch {
    return; // it is the app's own
  }
  app.removeContentTypeParser(JSON_ITSELF);
}

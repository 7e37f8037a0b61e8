import { resource, type Definition } from "@steward/core";
import type { Description } from "./describe.ts";
import { InvalidInput } from "../errors.ts";
import { request } from "./request-inputs.ts";

/** A dependency that refuses parameters of the query string which a route does not know. */
export function strictQuery({ parameters, demands }: Description): Definition<void, "request", "request:request"> {
  const known = new Set(parameters.filter(({ place }) => place === "query").map(({ name }) => name));
  for (const { scheme } of demands)
    if (scheme.document.type === "apiKey" && scheme.document.in === "query") known.add(scheme.document.name);
  return resource("strictQuery", {
    lifetime: "request",
    needs: { request },
    start: ({ request }) => {
      const given = Object.keys(request.query as object); // Fastify parses it to an object
      if (given.every((name) => known.has(name))) return;
      throw new InvalidInput(
        given
          .filter((name) => !known.has(name))
          .map((name) => ({
            path: ["query", name],
            code: "extra_forbidden",
            message: "Extra inputs are not permitted",
          })),
      );
    },
  });
}

import { REDIRECT_METADATA, RENDER_METADATA, SSE_METADATA } from "@nestjs/common/internal";
import { MetadataScanner, type ModulesContainer } from "@nestjs/core";
import { serverError } from "@steward/server";
import { specIn, type AppHandler } from "@steward/server/node";

const scanner = new MetadataScanner();

/** Decorators after which Nest answers by itself. */
const OWN_ANSWERS: Readonly<Record<string, string>> = {
  Sse: SSE_METADATA,
  Render: RENDER_METADATA,
  Redirect: REDIRECT_METADATA,
};

/**
 * Every method of the controllers of an app.
 *
 * @throws {ROUTE_INVALID} for one with needs that Nest would answer too.
 */
export function* methodsIn(modules: ModulesContainer): Iterable<AppHandler> {
  for (const { controllers } of modules.values())
    for (const { metatype } of controllers.values()) {
      const prototype = metatype?.prototype as Readonly<Record<string, unknown>> | undefined; // its methods by name
      if (prototype === undefined) continue;
      for (const method of scanner.getAllMethodNames(prototype)) {
        const handle = prototype[method];
        const name = `${metatype?.name}.${method}`;
        if (specIn(handle) !== undefined) refuseOwnAnswers(name, handle as object);
        yield { name, handle };
      }
    }
}

function refuseOwnAnswers(name: string, handle: object): void {
  for (const [decorator, key] of Object.entries(OWN_ANSWERS))
    if (Reflect.hasMetadata(key, handle))
      throw serverError(
        "ROUTE_INVALID",
        `${name} has @${decorator} and @Needs, which both answer: return events(...), or a Response`,
      );
}

import { resource } from "@steward/core";
import type { AnyDefinition, Need } from "@steward/core/container";
import { underScopes } from "../security/security.ts";
import { STORE, storeDefinition } from "./answer-store.ts";
import { allNeeds, type HandlerSpec } from "./handler-spec.ts";

/**
 * What a container is given as a root, so that it holds what a handler needs. It is never made.
 *
 * @param name Of the route, for errors of the graph.
 * @param outer Needs of the app or a part of it.
 */
export function rootOf(name: string, outer: readonly Need[], handler: HandlerSpec): AnyDefinition {
  const { idempotency, cacheResponse } = handler.options;
  const definition = storeDefinition(cacheResponse?.cache ?? idempotency?.store);
  const store = definition === undefined ? {} : { [STORE]: definition as never }; // a definition is a need
  const needs = underScopes({ ...store, ...allNeeds(outer, handler) }) as {}; // `handler` has checked them
  return resource(name, { lifetime: "handler", needs, start: () => undefined });
}

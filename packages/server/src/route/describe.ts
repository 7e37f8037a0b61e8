import { edgeOf, specOf, type Need, type Needs } from "@steward/core/container";
import { serverError } from "../errors.ts";
import type { Parameter } from "../inputs/described.ts";
import type { Scheme } from "../security/scheme.ts";
import { reply } from "./request-inputs.ts";
import { gathered, scopesOf, targetsOf } from "../security/security.ts";
import { schemeOf, sourceOf, type AnyDefinition } from "./source.ts";

/** A security scheme that a route demands, and the scopes on the way to it. */
export interface Demand {
  readonly scheme: Scheme;
  readonly scopes: readonly string[];
}

/** What a route takes from requests: known before anything starts, overrides or not. */
export interface Description {
  readonly parameters: readonly Parameter[];
  readonly demands: readonly Demand[];
  /** True when something may have to be done between the handler and the reply. */
  readonly commits: boolean;
  /** True when a dependency may give the answer, because it has the reply. */
  readonly takesReply: boolean;
  /** True when several bodies of different names are members of one object. */
  readonly embedsBodies: boolean;
  readonly takesForm: boolean;
}

/** Looks through everything that needs lead to. */
export function describe(needs: Needs): Description {
  const walk = new Walk();
  for (const need of Object.values(needs)) walk.need(need, []);
  const bodies = new Set(walk.parameters.filter(({ place }) => place === "body").map(({ name }) => name));
  const takesForm = walk.parameters.some(({ place }) => place === "form" || place === "file");
  if (bodies.size > 0 && takesForm)
    throw serverError("ROUTE_INVALID", `a route takes a JSON body (${[...bodies].join(", ")}) or a form, not both`);
  return {
    parameters: walk.parameters,
    demands: walk.demands,
    commits: walk.commits,
    takesReply: walk.takesReply,
    embedsBodies: bodies.size > 1,
    takesForm,
  };
}

class Walk {
  readonly parameters: Parameter[] = [];
  readonly demands: { scheme: Scheme; scopes: readonly string[] }[] = [];
  commits = false;
  takesReply = false;
  readonly #seen = new Map<AnyDefinition, Set<string>>();

  need(need: Need, way: readonly string[]): void {
    const further = gathered(way, scopesOf(need));
    for (const target of targetsOf(edgeOf(need))) this.#follow(target, further);
  }

  #follow(definition: AnyDefinition, way: readonly string[]): void {
    const ways = this.#seen.get(definition) ?? new Set<string>();
    const key = way.join(" ");
    if (ways.has(key)) return;
    this.#seen.set(definition, ways.add(key));
    if (definition.lifetime === "handler" || definition.lifetime === "transient") this.commits = true;
    if (definition === (reply as AnyDefinition)) this.takesReply = true;
    const scheme = schemeOf(definition);
    if (scheme !== undefined) this.#demand(scheme, way);
    const parameter = sourceOf(definition)?.parameter;
    if (parameter !== undefined && ways.size === 1) this.parameters.push(parameter);
    for (const need of Object.values(specOf(definition).needs)) this.need(need, way);
  }

  #demand(scheme: Scheme, way: readonly string[]): void {
    const known = this.demands.find((demand) => demand.scheme === scheme);
    if (known === undefined) this.demands.push({ scheme, scopes: way });
    else known.scopes = gathered(known.scopes, way);
  }
}

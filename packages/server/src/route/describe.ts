import { edgeOf, specOf, type Need, type Needs } from "@steward/core/container";
import { serverError } from "../errors.ts";
import type { WantedFile } from "../forms/options.ts";
import type { Parameter } from "../inputs/described.ts";
import type { Scheme } from "../security/scheme.ts";
import { cookieNamesOf } from "../security/cookie-session.ts";
import { reply } from "./request-inputs.ts";
import { gathered, scopesOf, targetsOf } from "../security/security.ts";
import { refusalOf, schemeOf, sourceOf, takesAddress, type AnyDefinition, type Refusal } from "./source.ts";

/** A security scheme that a route demands, and the scopes that are asked for above it. */
export interface Demand {
  readonly scheme: Scheme;
  readonly scopes: readonly string[];
}

/** What a route takes from requests: known before anything starts, overrides or not. */
export interface Description {
  readonly parameters: readonly Parameter[];
  readonly demands: readonly Demand[];
  /** Names of the cookies that sessions of `cookieSession` are read from. */
  readonly sessionCookies: readonly string[];
  /** Answers that dependencies may give instead of the handler. */
  readonly refusals: readonly Refusal[];
  /** True when something may have to be done between the handler and the reply. */
  readonly commits: boolean;
  /** True when a dependency may give the answer, because it has the reply. */
  readonly takesReply: boolean;
  /** True when something counts by the address of the client. */
  readonly takesAddress: boolean;
  /** True when several bodies of different names are members of one object. */
  readonly embedsBodies: boolean;
  readonly takesForm: boolean;
  /** The files that it takes, by name. */
  readonly files: ReadonlyMap<string, WantedFile>;
  /** True when its requests may have a key of idempotency. */
  readonly takesKey: boolean;
  /** True when answers are kept, for requests that are sent again or that others send. */
  readonly keepsAnswers: boolean;
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
    sessionCookies: walk.sessionCookies,
    refusals: walk.refusals,
    commits: walk.commits,
    takesReply: walk.takesReply,
    takesAddress: walk.takesAddress,
    embedsBodies: bodies.size > 1,
    takesForm,
    files: filesOf(walk.parameters),
    takesKey: false,
    keepsAnswers: false,
  };
}

/** The files of a route, each name in one manner. */
function filesOf(parameters: readonly Parameter[]): ReadonlyMap<string, WantedFile> {
  const files = new Map<string, WantedFile>();
  for (const { name, files: own } of parameters) {
    if (own === undefined) continue;
    const known = files.get(name);
    const isTwice =
      own.target === "handler" && [...files].some(([other, { target }]) => target === "handler" && other !== name);
    if (isTwice || (known !== undefined && known.target !== own.target))
      throw serverError(
        "ROUTE_INVALID",
        `a route takes each file in one manner, and one at most by its handler: see "${name}"`,
      );
    files.set(name, own);
  }
  return files;
}

class Walk {
  readonly parameters: Parameter[] = [];
  readonly demands: { scheme: Scheme; scopes: readonly string[] }[] = [];
  readonly sessionCookies: string[] = [];
  readonly refusals: Refusal[] = [];
  commits = false;
  takesReply = false;
  takesAddress = false;
  readonly #seen = new Map<AnyDefinition, Set<string>>();

  need(need: Need, outer: readonly string[]): void {
    const further = gathered(outer, scopesOf(need));
    for (const target of targetsOf(edgeOf(need))) this.#follow(target, further);
  }

  #follow(definition: AnyDefinition, outer: readonly string[]): void {
    const scopeSets = this.#seen.get(definition) ?? new Set<string>();
    const key = outer.join(" ");
    if (scopeSets.has(key)) return;
    this.#seen.set(definition, scopeSets.add(key));
    if (definition.lifetime === "handler" || definition.lifetime === "transient") this.commits = true;
    if (definition === (reply as AnyDefinition)) this.takesReply = true;
    if (takesAddress(definition)) this.takesAddress = true;
    const scheme = schemeOf(definition);
    if (scheme !== undefined) this.#demand(scheme, outer);
    if (scopeSets.size === 1) this.sessionCookies.push(...cookieNamesOf(definition));
    const refusal = refusalOf(definition);
    if (refusal !== undefined && scopeSets.size === 1) this.refusals.push(refusal);
    const parameter = sourceOf(definition)?.parameter;
    if (parameter !== undefined && scopeSets.size === 1) this.parameters.push(parameter);
    for (const need of Object.values(specOf(definition).needs)) this.need(need, outer);
  }

  #demand(scheme: Scheme, outer: readonly string[]): void {
    const known = this.demands.find((demand) => demand.scheme === scheme);
    if (known === undefined) this.demands.push({ scheme, scopes: outer });
    else known.scopes = gathered(known.scopes, outer);
  }
}

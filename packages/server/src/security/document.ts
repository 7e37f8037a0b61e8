import type { Demand } from "../route/describe.ts";
import { serverError } from "../errors.ts";
import type { Scheme, SchemeDocument } from "./scheme.ts";

/** All security schemes of an app, by name. */
export class Schemes {
  readonly #byName = new Map<string, Scheme>();
  /** The schemes as they stand in an OpenAPI document; it grows with the routes. */
  readonly document: Record<string, SchemeDocument> = {};

  /** Adds the schemes that a route demands. @throws {ROUTE_INVALID} when two different schemes have one name. */
  add(demands: readonly Demand[]): void {
    for (const scheme of demands.flatMap(({ scheme: one }) => (one.or === undefined ? [one] : [one, one.or]))) {
      const known = this.#byName.get(scheme.name);
      if (known !== undefined && JSON.stringify(known.document) !== JSON.stringify(scheme.document)) {
        throw serverError(
          "ROUTE_INVALID",
          `two different security schemes are named "${scheme.name}": give one of them another name`,
        );
      }
      this.#byName.set(scheme.name, scheme);
      this.document[scheme.name] = scheme.document;
    }
  }
}

type Requirement = Readonly<Record<string, readonly string[]>>;

const MAX_CHOICES = 4;

/** What a route demands: one object for what is demanded together; alternatives where some of it may be missing. */
export function securityOf(demands: readonly Demand[]): Requirement[] | undefined {
  if (demands.length === 0) return undefined;
  const byName = merged(demands);
  const all = [...byName.values()];
  const must = all.filter(({ scheme }) => scheme.required);
  const may = all.filter(({ scheme }) => !scheme.required);
  return choicesOf(may)
    .flatMap((chosen) => alternativesOf([...must, ...chosen]))
    .map(requirementOf);
}

function merged(demands: readonly Demand[]): Map<string, Demand> {
  const byName = new Map<string, Demand>();
  for (const demand of demands) {
    const { name } = demand.scheme;
    const known = byName.get(name);
    const scheme = known?.scheme.required === true ? known.scheme : demand.scheme;
    byName.set(
      name,
      known === undefined ? demand : { scheme, scopes: [...new Set([...known.scopes, ...demand.scopes])] },
    );
  }
  return byName;
}

/** The same demands with each of what may be shown for them. */
function alternativesOf(demands: readonly Demand[]): (readonly Demand[])[] {
  return demands.reduce<(readonly Demand[])[]>(
    (found, demand) => {
      const { or } = demand.scheme;
      const ways = or === undefined ? [demand] : [demand, { ...demand, scheme: or }];
      return ways.flatMap((way) => found.map((chosen) => [...chosen, way]));
    },
    [[]],
  );
}

function requirementOf(demands: readonly Demand[]): Requirement {
  return Object.fromEntries(demands.map(({ scheme, scopes }) => [scheme.name, scopes]));
}

/** All choices, the largest first; of many only all, each alone, and none. */
function choicesOf(may: readonly Demand[]): (readonly Demand[])[] {
  if (may.length > MAX_CHOICES) return [may, ...may.map((one) => [one]), []];
  const choices = may.reduce<(readonly Demand[])[]>(
    (found, one) => [...found.map((chosen) => [...chosen, one]), ...found],
    [[]],
  );
  return choices.sort((a, b) => b.length - a.length);
}

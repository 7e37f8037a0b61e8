import type { AnyDefinition } from "@steward/core/container";
import type { Validators } from "../inputs/validator.ts";
import type { Parameter } from "../inputs/described.ts";
import type { Scheme } from "../security/scheme.ts";
import type { RequestLife } from "../life/request-life.ts";

export type { AnyDefinition };

/** What a reader is made for: an app and one of its routes. */
export interface ReaderPlace {
  readonly validators: Validators;
  /** True when the route has several bodies, so that each is a member of one object. */
  readonly embedsBodies: boolean;
}

/** Reads an input from a request: gives its value, what is wrong with it, or a promise of either. */
export type Reader = (life: RequestLife) => unknown;

/** Where an input of a request comes from. */
export interface Source {
  /** Makes the reader; once for each route, so that reading is quick. */
  readonly reader: (place: ReaderPlace) => Reader;
  /** Set for what stands in the document: a parameter or a body. */
  readonly parameter?: Parameter;
}

const SOURCE = Symbol.for("steward.server.source");
const SCHEME = Symbol.for("steward.server.scheme");

/** Notes on an input's definition where its value comes from. */
export function withSource<D extends AnyDefinition>(definition: D, source: Source): D {
  return Object.assign(definition, { [SOURCE]: source });
}

/** Where an input comes from; `undefined` for inputs that are not of this package. */
export function sourceOf(definition: AnyDefinition): Source | undefined {
  return (definition as { [SOURCE]?: Source })[SOURCE]; // set by `withSource` alone
}

/** Notes on a definition which security scheme it is. */
export function withScheme<D extends AnyDefinition>(definition: D, scheme: Scheme): D {
  return Object.assign(definition, { [SCHEME]: scheme });
}

/** The security scheme that a definition is, if it is one. */
export function schemeOf(definition: AnyDefinition): Scheme | undefined {
  return (definition as { [SCHEME]?: Scheme })[SCHEME]; // set by `withScheme` alone
}

/** An answer that a dependency may give instead of the handler, for the document. */
export interface Refusal {
  readonly status: number;
  readonly description: string;
}

const REFUSAL = Symbol.for("steward.server.refusal");

/** Notes on a definition which answer it may give instead of the handler. */
export function withRefusal<D extends AnyDefinition>(definition: D, refusal: Refusal): D {
  return Object.assign(definition, { [REFUSAL]: refusal });
}

/** The answer that a definition may give instead of the handler, if it says so. */
export function refusalOf(definition: AnyDefinition): Refusal | undefined {
  return (definition as { [REFUSAL]?: Refusal })[REFUSAL]; // set by `withRefusal` alone
}

const ADDRESS = Symbol.for("steward.server.address");

/** Notes on a definition that it counts by the address of the client. */
export function withAddress(definition: AnyDefinition): void {
  Object.assign(definition, { [ADDRESS]: true });
}

/** Whether a definition counts by the address of the client. */
export function takesAddress(definition: AnyDefinition): boolean {
  return (definition as { [ADDRESS]?: boolean })[ADDRESS] === true; // set by `withAddress` alone
}

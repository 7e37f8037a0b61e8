import { input, type InputDefinition } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { inputShape, nameRule, schemaRule, type InputOptions } from "../options.ts";
import type { Parameter } from "./described.ts";
import { withSource } from "../route/source.ts";
import type { InputPlace } from "./issue.ts";
import { readerOf } from "./read.ts";
import { mayBeMissing, type InputSchema, type SchemaValue } from "./schema.ts";

/** A definition whose value is read from the request; outside of routes it is given with `.is(value)`. */
export type RequestInput<Value, Place extends InputPlace, Name extends string> = InputDefinition<
  Value,
  "request",
  `request:${Place} ${Name}`
>;

/** The value of an input: `undefined` too where it may be missing. */
export type InputValue<S, Required extends boolean> = Required extends false
  ? SchemaValue<S> | (S extends { readonly default: unknown } ? never : undefined)
  : SchemaValue<S>;

/** Makes inputs of one place. The schema's default is a string. */
export interface InputMaker<Place extends InputPlace> {
  <
    const Name extends string,
    const S extends InputSchema = { readonly type: "string" },
    const R extends boolean = true,
  >(
    name: Name,
    schema?: S,
    options?: InputOptions<R>,
  ): RequestInput<InputValue<S, R>, Place, Name>;
}

function makerOf<Place extends InputPlace>(place: Place): InputMaker<Place> {
  return (name, schema, options = {}) => {
    assertShape(`the name of from.${place}`, nameRule(), name);
    if (schema !== undefined) assertShape(`the schema of from.${place}("${name}")`, schemaRule(), schema);
    assertShape(`${place} ${name}`, inputShape, options);
    const given: InputSchema = schema ?? { type: "string" };
    const wire = place === "header" ? name.toLowerCase().replaceAll("_", "-") : name;
    const required = options.required ?? !mayBeMissing(given);
    const parameter: Parameter = {
      place,
      name: wire,
      schema: given,
      required,
      inDocument: options.inDocument ?? true,
      description: options.description,
    };
    const definition = input<never>()(`${place} ${name}`, { lifetime: "request" });
    return withSource(definition, { parameter, reader: (where) => readerOf(parameter, where) }) as never; // the schema says what the value is
  };
}

/**
 * An input from the query string.
 */
export const query: InputMaker<"query"> = makerOf("query");

/** An input from a header. Underscores of the name stand for hyphens. */
export const header: InputMaker<"header"> = makerOf("header");

/** An input from a cookie. */
export const cookie: InputMaker<"cookie"> = makerOf("cookie");

/** An input from the path: the part that the route calls `:name`. */
export const path: InputMaker<"path"> = makerOf("path");

/**
 * The JSON body. Where a route has several, with different names, each is a member of one object.
 * Unlike inputs that come as text, a body is not coerced: `"1"` is no number.
 */
export const body: InputMaker<"body"> = makerOf("body");

/** A field of a form, urlencoded or multipart. */
export const form: InputMaker<"form"> = makerOf("form");

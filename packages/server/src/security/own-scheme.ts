import { assertShape, func, required, recognised, shape, text, type Shape } from "@steward/core/driver";
import type { HttpRequest } from "../life/exchange.ts";
import { schemeShape, type SchemeOptions } from "../options.ts";
import { schemeOfKind, type SchemeDefinition } from "./schemes.ts";
import type { SchemeDocument } from "./scheme.ts";

/** A security scheme of your own. */
export interface OwnScheme<Value> {
  /** How it stands in the OpenAPI document. */
  readonly document: SchemeDocument;
  /** Reads the credentials of a request; `undefined` where there are none. It may throw an `HttpError` for wrong ones. */
  readonly read: (request: HttpRequest) => Value | undefined;
  /** Sent in `www-authenticate` to a request without credentials. Default: the name of the scheme. */
  readonly challenge?: string;
}

const KINDS: ReadonlySet<unknown> = new Set(["apiKey", "http", "oauth2", "openIdConnect"]);

const ownShape: Shape<OwnScheme<unknown>> = shape<OwnScheme<unknown>>(() => ({
  document: required(
    recognised(
      (value) => typeof value === "object" && value !== null && "type" in value && KINDS.has(value.type),
      "a security scheme object of OpenAPI",
    ),
  ),
  read: required(func()),
  challenge: text(),
}));

/**
 * A security scheme of your own, as `bearer` and the others are: a need that gives credentials, stands in the document,
 * and answers requests that have none.
 *
 * @throws {OPTIONS_INVALID} when something of it is unknown or wrong.
 *
 * @example
 * ```ts
 * import { from } from "@steward/server";
 * const signature = from.scheme("signature", {
 *   document: { type: "apiKey", in: "header", name: "x-signature" },
 *   read: ({ headers }) => headers["x-signature"]?.toString(),
 * });
 * console.log(signature.name); // => signature
 * ```
 */
export function scheme<Value, const Auto extends boolean = true>(
  name: string,
  own: OwnScheme<Value>,
  options: Omit<SchemeOptions<Auto>, "name"> = {},
): SchemeDefinition<Value, Auto> {
  assertShape("scheme", text(), name);
  assertShape(`scheme ${name}`, ownShape, own);
  assertShape(`scheme ${name}`, schemeShape(), options);
  const { document, read, challenge = name } = own;
  return schemeOfKind(name, challenge, document, read, options);
}

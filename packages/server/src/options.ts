import {
  flag,
  func,
  literalOr,
  oneOf,
  recognised,
  recordOf,
  required,
  shape,
  text,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import type { HttpError } from "./errors.ts";
import type { HttpRequest } from "./life/exchange.ts";
import type { ProblemOptions } from "./problem/problem.ts";
import type { OAuthFlow } from "./security/scheme.ts";

const headerName = (): Rule => recognised((value) => typeof value === "string" && /^[\w-]+$/.test(value), "a header");
/** What names the header of request ids, or switches it off. */
export const requestIdRule = (): Rule => literalOr(false, headerName());

const invalidStatus = (): Rule => recognised((value) => value === 400 || value === 422, "400 or 422");

/** What the options of error answers must be. */
export const problemShape: Shape<ProblemOptions> = shape<ProblemOptions>(() => ({
  shape: oneOf("problem", "fastapi"),
  invalidStatus: invalidStatus(),
  toHttpError: func(),
}));

/** How a request input is read. */
export interface InputOptions<Required extends boolean = boolean> {
  /** `false`: it may be missing, and is `undefined` then. Default: required, unless the schema has a default. */
  readonly required?: Required;
  /** `false` keeps it out of the OpenAPI document; it is read and checked all the same. */
  readonly inDocument?: boolean;
  /** Shown in the OpenAPI document. */
  readonly description?: string;
}

/** What the options of an input must be. */
export const inputShape: Shape<InputOptions> = shape<InputOptions>(() => ({
  required: flag(),
  inDocument: flag(),
  description: text(true),
}));

/** What the options of the password form must be. */
export const passwordFormShape: Shape<{ readonly strict?: boolean }> = shape<{ readonly strict?: boolean }>(() => ({
  strict: flag(),
}));

/** What names something: a key, a scheme, a URL. */
export const nameRule = (): Rule => text();

/** What describes an input; some Standard Schemas are functions. */
export const schemaRule = (): Rule =>
  recognised(
    (value) => (typeof value === "object" && value !== null) || typeof value === "function",
    'a JSON schema such as { type: "integer" }, or a Standard Schema',
  );

/** What a flow of OAuth2 must be. */
export const flowShape: Shape<OAuthFlow> = shape<OAuthFlow>(() => ({
  authorizationUrl: text(),
  tokenUrl: text(),
  refreshUrl: text(),
  scopes: required(recordOf(text(true))),
}));

type CodeUrls = { readonly authorizationUrl: string; readonly tokenUrl: string; readonly refreshUrl?: string };

/** What the URLs of the authorization code flow must be. */
export const urlsShape: Shape<CodeUrls> = shape<CodeUrls>(() => ({
  authorizationUrl: required(text()),
  tokenUrl: required(text()),
  refreshUrl: text(),
}));

/** What every security scheme takes. */
export interface SchemeOptions<Auto extends boolean = boolean> {
  /** Name in the OpenAPI document. Default: that of the kind, such as `bearer`. */
  readonly name?: string;
  /** `false`: a request without credentials gets `null` instead of 401. Default `true`. */
  readonly autoError?: Auto;
  /** How a request without credentials is answered; it stands in the OpenAPI document too. */
  readonly missing?: MissingCredentials;
  /** Shown in the OpenAPI document. */
  readonly description?: string;
}

/** The answer to a request without credentials. */
export interface MissingCredentials {
  /** Default 401. */
  readonly status?: 401 | 403 | 404;
  /** Default `Not authenticated`. */
  readonly detail?: string;
  /** Makes the answer, where `detail` and `headers` are not enough; it has to have the status above. */
  readonly answer?: (request: HttpRequest) => HttpError;
  /** Default `www-authenticate` with the challenge of the scheme, for 401. */
  readonly headers?: Readonly<Record<string, string>>;
}

const missingShape: Shape<MissingCredentials> = shape<MissingCredentials>(() => ({
  status: recognised((value) => value === 401 || value === 403 || value === 404, "401, 403 or 404"),
  detail: text(),
  answer: func(),
  headers: recordOf(text(true)),
}));

/** Everything that a security scheme takes. */
export interface AnySchemeOptions extends SchemeOptions {
  readonly realm?: string;
  readonly bearerFormat?: string;
  readonly scopes?: Readonly<Record<string, string>>;
  readonly refreshUrl?: string;
}

/** What only some schemes have. */
export type OwnSchemeOption = "realm" | "bearerFormat" | "scopes" | "refreshUrl";

/** What the options of a security scheme must be, with what it has beside the usual ones. */
export function schemeShape(...own: readonly OwnSchemeOption[]): Shape<AnySchemeOptions> {
  const all = {
    name: text(),
    autoError: flag(),
    missing: missingShape,
    description: text(true),
    realm: text(true),
    bearerFormat: text(),
    scopes: recordOf(text(true)),
    refreshUrl: text(),
  };
  const { name, autoError, missing, description } = all;
  const rules = { name, autoError, missing, description, ...Object.fromEntries(own.map((key) => [key, all[key]])) };
  return shape<AnySchemeOptions>(() => rules as typeof all); // a key that is not there is refused
}

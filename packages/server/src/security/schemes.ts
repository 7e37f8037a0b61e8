import { resource, type Definition } from "@steward/core";
import { assertShape, oneOf, recordOf } from "@steward/core/driver";
import type { HttpRequest } from "../life/exchange.ts";
import { HttpError, serverError } from "../errors.ts";
import { cookiesOf } from "../inputs/read.ts";
import {
  flowShape,
  nameRule,
  schemeShape,
  urlsShape,
  type OwnSchemeOption,
  type MissingCredentials,
  type SchemeOptions,
} from "../options.ts";
import { request } from "../route/request-inputs.ts";
import { withScheme } from "../route/source.ts";
import type { OAuthFlow, Scheme, SchemeDocument } from "./scheme.ts";

/** A dependency that gives credentials, or `null` where there may be none. */
export type SchemeDefinition<Value, Auto extends boolean> = Definition<
  Auto extends false ? Value | null : Value,
  "request",
  "request:request"
>;

/** The words of an `authorization` header. */
export interface Authorization {
  /** Such as `Bearer`, as the client wrote it. */
  readonly scheme: string;
  readonly credentials: string;
}

/** User name and password of HTTP Basic. */
export interface BasicCredentials {
  readonly username: string;
  readonly password: string;
}

/** Reads credentials: `undefined` where there are none. */
type Read<Value> = (request: HttpRequest) => Value | undefined;

/** Makes the definition of a scheme. */
export function schemeOfKind<Value, Auto extends boolean>(
  kind: string,
  challenge: string,
  document: SchemeDocument,
  read: Read<Value>,
  options: SchemeOptions<Auto>,
  ...own: readonly OwnSchemeOption[]
): SchemeDefinition<Value, Auto> {
  assertShape(kind, schemeShape(...own), options);
  const { name = kind, autoError = true, missing = {}, description } = options;
  const note: Scheme = {
    name,
    required: autoError,
    missingStatus: missing.status ?? 401,
    document: description === undefined ? document : { ...document, description },
  };
  const definition = resource(name, {
    lifetime: "request",
    needs: { request },
    start: ({ request }) => {
      const found = read(request);
      if (found === undefined && autoError) throw missingError(request, challenge, missing);
      return found ?? null;
    },
  });
  return withScheme(definition, note) as SchemeDefinition<Value, Auto>; // `autoError` says whether it may be null
}

/** The answer to a request without credentials. */
function missingError(incoming: HttpRequest, challenge: string, missing: MissingCredentials): HttpError {
  const { status = 401, detail = "Not authenticated" } = missing;
  if (missing.answer !== undefined) return checkedAnswer(missing.answer(incoming), status);
  const { headers = status === 401 ? { "www-authenticate": challenge } : {} } = missing;
  return new HttpError(status, detail, { headers });
}

/** An answer of the app's own; the document says which status it has. */
function checkedAnswer(answer: unknown, status: number): HttpError {
  if (answer instanceof HttpError && answer.statusCode === status) return answer;
  const what = answer instanceof HttpError ? `an HttpError with status ${answer.statusCode}` : typeof answer;
  throw serverError("ROUTE_INVALID", `missing.answer has to give an HttpError with status ${status}, not ${what}`);
}

function authorizationOf(incoming: HttpRequest): Authorization {
  const [, word = "", rest = ""] = /^(\S*)\s*([\s\S]*)$/.exec((incoming.headers.authorization ?? "").trim()) ?? [];
  return { scheme: word, credentials: rest.trim() };
}

function is(authorization: Authorization, word: string): boolean {
  return authorization.scheme.toLowerCase() === word.toLowerCase();
}

function text(value: unknown): string | undefined {
  const one: unknown = Array.isArray(value) ? value[0] : value;
  return typeof one === "string" && one !== "" ? one : undefined;
}

/** An API key in a header, a query parameter or a cookie; gives the key. */
export function apiKey<const Auto extends boolean = true>(
  place: "header" | "query" | "cookie",
  key: string,
  options: SchemeOptions<Auto> = {},
): SchemeDefinition<string, Auto> {
  assertShape("apiKey", oneOf("header", "query", "cookie"), place);
  assertShape("apiKey", nameRule(), key);
  const readers = {
    header: (incoming: HttpRequest) => text(incoming.headers[key.toLowerCase()]),
    query: (incoming: HttpRequest) => text((incoming.query as Readonly<Record<string, unknown>>)[key]), // Fastify parses it to an object
    cookie: (incoming: HttpRequest) => text(cookiesOf(incoming)[key]),
  };
  const kind = { header: "apiKeyHeader", query: "apiKeyQuery", cookie: "apiKeyCookie" }[place];
  return schemeOfKind(kind, "APIKey", { type: "apiKey", in: place, name: key }, readers[place], options);
}

/** HTTP Basic; gives user name and password. What cannot be read is 401 also with `autoError: false`. */
export function basic<const Auto extends boolean = true>(
  options: SchemeOptions<Auto> & { readonly realm?: string } = {},
): SchemeDefinition<BasicCredentials, Auto> {
  assertShape("basic", schemeShape("realm"), options);
  const challenge =
    options.realm === undefined ? "Basic" : `Basic realm="${options.realm.replaceAll(/["\\]/g, "\\$&")}"`;
  const read: Read<BasicCredentials> = (incoming) => {
    const authorization = authorizationOf(incoming);
    if (!is(authorization, "Basic")) return undefined;
    const credentials = decodeBasic(authorization.credentials);
    if (credentials === undefined) throw missingError(incoming, challenge, options.missing ?? {});
    return credentials;
  };
  return schemeOfKind("basic", challenge, { type: "http", scheme: "basic" }, read, options, "realm");
}

function decodeBasic(encoded: string): BasicCredentials | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded)) return undefined;
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.some((byte) => byte > 127)) return undefined;
  const decoded = bytes.toString("latin1");
  const colon = decoded.indexOf(":");
  return colon < 0 ? undefined : { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** A bearer token; gives the token. */
export function bearer<const Auto extends boolean = true>(
  options: SchemeOptions<Auto> & { readonly bearerFormat?: string } = {},
): SchemeDefinition<string, Auto> {
  const { bearerFormat } = options;
  return schemeOfKind(
    "bearer",
    "Bearer",
    { type: "http", scheme: "bearer", ...(bearerFormat === undefined ? {} : { bearerFormat }) },
    tokenOf,
    options,
    "bearerFormat",
  );
}

function tokenOf(incoming: HttpRequest): string | undefined {
  const authorization = authorizationOf(incoming);
  return is(authorization, "Bearer") && authorization.credentials !== "" ? authorization.credentials : undefined;
}

/** HTTP Digest: gives what the client sent; checking it is up to you. */
export function digest<const Auto extends boolean = true>(
  options: SchemeOptions<Auto> = {},
): SchemeDefinition<Authorization, Auto> {
  const read: Read<Authorization> = (incoming) => {
    const authorization = authorizationOf(incoming);
    return is(authorization, "Digest") && authorization.credentials !== "" ? authorization : undefined;
  };
  return schemeOfKind("digest", "Digest", { type: "http", scheme: "digest" }, read, options);
}

/** Any other scheme of the `authorization` header; gives its words, whichever scheme the client names. */
export function httpAuthorization<const Auto extends boolean = true>(
  word: string,
  options: SchemeOptions<Auto> = {},
): SchemeDefinition<Authorization, Auto> {
  assertShape("httpAuthorization", nameRule(), word);
  const read: Read<Authorization> = (incoming) => {
    const authorization = authorizationOf(incoming);
    return authorization.scheme !== "" && authorization.credentials !== "" ? authorization : undefined;
  };
  const challenge = word.slice(0, 1).toUpperCase() + word.slice(1);
  return schemeOfKind("http", challenge, { type: "http", scheme: word.toLowerCase() }, read, options);
}

/** OAuth2's password flow; gives the bearer token. */
export function oauth2Password<const Auto extends boolean = true>(
  tokenUrl: string,
  options: SchemeOptions<Auto> & { readonly scopes?: OAuthFlow["scopes"]; readonly refreshUrl?: string } = {},
): SchemeDefinition<string, Auto> {
  assertShape("oauth2Password", nameRule(), tokenUrl);
  const { scopes = {}, refreshUrl } = options;
  const password = { tokenUrl, scopes, ...(refreshUrl === undefined ? {} : { refreshUrl }) };
  return schemeOfKind(
    "oauth2Password",
    "Bearer",
    { type: "oauth2", flows: { password } },
    tokenOf,
    options,
    "scopes",
    "refreshUrl",
  );
}

/** OAuth2's authorization code flow; gives the bearer token. */
export function oauth2AuthorizationCode<const Auto extends boolean = true>(
  urls: { readonly authorizationUrl: string; readonly tokenUrl: string; readonly refreshUrl?: string },
  options: SchemeOptions<Auto> & { readonly scopes?: OAuthFlow["scopes"] } = {},
): SchemeDefinition<string, Auto> {
  assertShape("oauth2AuthorizationCode", urlsShape, urls);
  const authorizationCode = { ...urls, scopes: options.scopes ?? {} };
  return schemeOfKind(
    "oauth2AuthorizationCode",
    "Bearer",
    { type: "oauth2", flows: { authorizationCode } },
    tokenOf,
    options,
    "scopes",
  );
}

/** OAuth2 with any flows; gives the `authorization` header as it came. */
export function oauth2<const Auto extends boolean = true>(
  flows: Readonly<Record<string, OAuthFlow>>,
  options: SchemeOptions<Auto> = {},
): SchemeDefinition<string, Auto> {
  assertShape("oauth2", recordOf(flowShape), flows);
  return schemeOfKind("oauth2", "Bearer", { type: "oauth2", flows }, headerOf, options);
}

/** OpenID Connect; gives the `authorization` header as it came. */
export function openIdConnect<const Auto extends boolean = true>(
  openIdConnectUrl: string,
  options: SchemeOptions<Auto> = {},
): SchemeDefinition<string, Auto> {
  assertShape("openIdConnect", nameRule(), openIdConnectUrl);
  return schemeOfKind("openIdConnect", "Bearer", { type: "openIdConnect", openIdConnectUrl }, headerOf, options);
}

function headerOf(incoming: HttpRequest): string | undefined {
  return text(incoming.headers.authorization);
}

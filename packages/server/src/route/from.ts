import { file, files } from "../inputs/file.ts";
import { body, cookie, form, header, path, query } from "../inputs/parameter.ts";
import { passwordForm } from "../inputs/password-form.ts";
import {
  apiKey,
  basic,
  bearer,
  digest,
  httpAuthorization,
  oauth2,
  oauth2AuthorizationCode,
  oauth2Password,
  openIdConnect,
} from "../security/schemes.ts";
import { scheme } from "../security/own-scheme.ts";
import { background, reply, request, requestSignal, requiredScopes } from "./request-inputs.ts";

/** What {@link from} holds. */
export interface From {
  /** From the query string. */
  readonly query: typeof query;
  /** From a header. Underscores of the name stand for hyphens. */
  readonly header: typeof header;
  /** From a cookie. */
  readonly cookie: typeof cookie;
  /** From the path: the part that the route calls `:name`. */
  readonly path: typeof path;
  /** The JSON body. Where a route has several, with different names, each is a member of one object. */
  readonly body: typeof body;
  /** A field of a form, urlencoded or multipart. */
  readonly form: typeof form;
  /** An uploaded file of a multipart form. */
  readonly file: typeof file;
  /** All uploaded files of one name. */
  readonly files: typeof files;
  /** The form of OAuth2's password flow. */
  readonly passwordForm: typeof passwordForm;
  /** An API key in a header, a query parameter or a cookie. */
  readonly apiKey: typeof apiKey;
  /** HTTP Basic: user name and password. */
  readonly basic: typeof basic;
  /** A bearer token. */
  readonly bearer: typeof bearer;
  /** HTTP Digest: what the client sent; checking it is up to you. */
  readonly digest: typeof digest;
  /** Any other scheme of the `authorization` header. */
  readonly httpAuthorization: typeof httpAuthorization;
  /** OAuth2 with any flows: the `authorization` header as it came. */
  readonly oauth2: typeof oauth2;
  /** OAuth2's authorization code flow: the bearer token. */
  readonly oauth2AuthorizationCode: typeof oauth2AuthorizationCode;
  /** OAuth2's password flow: the bearer token. */
  readonly oauth2Password: typeof oauth2Password;
  /** OpenID Connect: the `authorization` header as it came. */
  readonly openIdConnect: typeof openIdConnect;
  /** A security scheme of your own. */
  readonly scheme: typeof scheme;
  /** The request itself; that of the handshake on a WebSocket route. */
  readonly request: typeof request;
  /** The reply, for dependencies that set headers or a status. What the handler sets later wins. */
  readonly reply: typeof reply;
  /** Work for after the response. */
  readonly background: typeof background;
  /** Aborts when the client has gone or the request's deadline has passed. */
  readonly signal: typeof requestSignal;
  /** The security scopes that `security(...)` asks for above what needs this, outermost first. */
  readonly requiredScopes: typeof requiredScopes;
}

/**
 * Everything that comes from a request, as needs.
 *
 * @example
 * ```ts
 * import { from } from "@steward/server";
 * const limit = from.query("limit", { type: "integer", minimum: 1, maximum: 100, default: 20 });
 * console.log(limit.is(5).value); // => 5
 * ```
 */
export const from: From = {
  query,
  header,
  cookie,
  path,
  body,
  form,
  file,
  files,
  passwordForm,
  apiKey,
  basic,
  bearer,
  digest,
  httpAuthorization,
  oauth2,
  oauth2AuthorizationCode,
  oauth2Password,
  openIdConnect,
  scheme,
  request,
  reply,
  background,
  signal: requestSignal,
  requiredScopes,
};

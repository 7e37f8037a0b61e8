import {
  anything,
  flag,
  func,
  literalOr,
  listOf,
  milliseconds,
  oneOf,
  recognised,
  recordOf,
  required,
  shape,
  text,
  wholeNumber,
  withMethods,
  type Rule,
  type Shape,
} from "@steward/core";
import type { AccessLogOptions } from "./access-log.ts";
import type { MetricsRoute } from "./endpoints.ts";
import type { FormOptions } from "./forms.ts";
import type { InjectOptions } from "./inject.ts";
import type { InputOptions } from "./inputs/parameter.ts";
import type { OpenApiOptions } from "./openapi.ts";
import type { StewardSettings } from "./plugin.ts";
import type { ProblemOptions } from "./problem.ts";
import type { OAuthFlow } from "./security/scheme.ts";
import type { SchemeOptions } from "./security/schemes.ts";
import type { FastifyServerOptions, ListenOptions } from "./server.ts";

const headerName = (): Rule => recognised((value) => typeof value === "string" && /^[\w-]+$/.test(value), "a header");
const path = (): Rule => recognised((value) => typeof value === "string" && value.startsWith("/"), "a path such as /a");
const requestId = (): Rule => literalOr(false, headerName());

const invalidStatus = (): Rule => recognised((value) => value === 400 || value === 422, "400 or 422");

const accessLog: Shape<AccessLogOptions> = shape<AccessLogOptions>(() => ({ redact: listOf(text()), quiet: func() }));

const problems: Shape<ProblemOptions> = shape<ProblemOptions>(() => ({
  shape: oneOf("problem", "fastapi"),
  invalidStatus: invalidStatus(),
  tell: func(),
}));

const forms: Shape<FormOptions> = shape<FormOptions>(() => ({
  maxFileBytes: wholeNumber(1),
  maxFiles: wholeNumber(0),
  maxFields: wholeNumber(0),
  maxFieldBytes: wholeNumber(1),
}));

const metrics: Shape<MetricsRoute> = shape<MetricsRoute>(() => ({
  path: path(),
  contentType: text(),
  token: text(),
  render: required(func()),
}));

const server: Shape<{ readonly url: string; readonly description?: string }> = shape<{
  readonly url: string;
  readonly description?: string;
}>(() => ({ url: required(text()), description: text(true) }));

const openapi: Shape<OpenApiOptions> = shape<OpenApiOptions>(() => ({
  title: required(text()),
  version: required(text()),
  description: text(true),
  servers: listOf(server),
  path: path(),
  docs: literalOr(false, path()),
}));

interface Registration extends StewardSettings {
  readonly container?: unknown;
  readonly inputs?: unknown;
  readonly running?: unknown;
  readonly prefix?: unknown;
  readonly logLevel?: unknown;
  readonly logSerializers?: unknown;
}

const source = (): Rule =>
  recognised((value) => typeof value === "function" || (typeof value === "object" && value !== null), "what runs");

/** What the options of the plugin must be; `prefix`, `logLevel` and `logSerializers` are Fastify's own. */
export const pluginShape: Shape<Registration> = shape<Registration>(
  () => ({
    container: withMethods("a container", "start"),
    inputs: anything(), // checked by the start
    running: source(),
    prefix: text(true),
    logLevel: anything(),
    logSerializers: anything(),
    dependencies: anything(), // told by the route that gets them
    timeoutMs: milliseconds(0),
    closeTimeoutMs: milliseconds(0),
    requestId: requestId(),
    accessLog: literalOr(false, accessLog),
    errors: literalOr(false, problems),
    notFound: flag(),
    strictQuery: flag(),
    health: anything(), // checked by the endpoints
    metrics,
    forms: literalOr(false, forms),
    openapi,
  }),
  ({ container, running }) =>
    (container === undefined) === (running === undefined)
      ? { path: "container", message: "or running must be given, one of them" }
      : undefined,
  ({ inputs, running }) =>
    inputs !== undefined && running !== undefined
      ? { path: "inputs", message: "are for a container that this app starts" }
      : undefined,
);

/** What the options of a handler must be. */
export const injectShape: Shape<InjectOptions> = shape<InjectOptions>(() => ({
  dependencies: anything(), // told with the needs
  parallel: flag(),
  timeoutMs: milliseconds(0),
}));

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

/** What the options of {@link refusals} must be. */
export const refusalsShape: Shape<ProblemOptions & { readonly requestId?: string | false }> = shape<
  ProblemOptions & { readonly requestId?: string | false }
>(() => ({
  shape: oneOf("problem", "fastapi"),
  invalidStatus: invalidStatus(),
  tell: func(),
  requestId: requestId(),
}));

/** What names something: a key, a scheme, a URL. */
export const nameRule = (): Rule => text();

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

/** Everything that a security scheme can be told. */
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
    description: text(true),
    realm: text(true),
    bearerFormat: text(),
    scopes: recordOf(text(true)),
    refreshUrl: text(),
  };
  const { name, autoError, description } = all;
  const rules = { name, autoError, description, ...Object.fromEntries(own.map((key) => [key, all[key]])) };
  return shape<AnySchemeOptions>(() => rules as typeof all); // a key that is not there is refused
}

/** What the options of a server must be. */
export const serverShape: Shape<FastifyServerOptions<{}>> = shape<FastifyServerOptions<{}>>(() => ({
  needs: anything(), // told by the definition
  app: required(func()),
  listen: required(func()),
}));

/** What says where a server listens. */
export const listenShape: Shape<ListenOptions> = shape<ListenOptions>(() => ({
  host: text(),
  port: required(wholeNumber(0, 65_535)),
}));

import {
  func,
  listOf,
  literalOr,
  recognised,
  required,
  shape,
  text,
  type Rule,
  type Shape,
} from "@steward/core/driver";

/** Where there is more to read. */
interface ExternalDocs {
  readonly url: string;
  readonly description?: string;
}

/** The OpenAPI document of an app. */
export interface OpenApiOptions {
  /** Name of the API. */
  readonly title: string;
  /** Version of the API, such as `1.2.0`. */
  readonly version: string;
  /** What the API is for, in a sentence. */
  readonly summary?: string;
  /** What the API is for. */
  readonly description?: string;
  /** URL of the terms of service. */
  readonly termsOfService?: string;
  /** Whom to ask. */
  readonly contact?: { readonly name?: string; readonly url?: string; readonly email?: string };
  /** Under which licence the API is: its name, and one of a URL and an SPDX identifier. */
  readonly license?: { readonly name: string; readonly url?: string; readonly identifier?: string };
  /** Where the app is reached. */
  readonly servers?: readonly { readonly url: string; readonly description?: string }[];
  /** What the tags of routes mean, in the order in which they are shown. */
  readonly tags?: readonly {
    readonly name: string;
    readonly description?: string;
    readonly externalDocs?: ExternalDocs;
  }[];
  /** Where there is more to read. */
  readonly externalDocs?: ExternalDocs;
  /**
   * Ids of operations that have none of their own, by method and path such as `/videos/{id}`; `false` for none. Default:
   * made of both, such as `getVideosById`.
   */
  readonly operationId?: ((route: { readonly method: string; readonly path: string }) => string) | false;
  /** Changes the document before it is served, such as `webhooks` or what begins with `x-`; it gives the whole document. */
  readonly transform?: (document: Record<string, unknown>) => Record<string, unknown>;
  /** Where the document is served. Default `/openapi.json`. */
  readonly path?: string;
  /** Where the page for people is served, with `@fastify/swagger-ui`, where that is installed; `false` for none. Default `/docs`. */
  readonly docs?: string | false;
}

const path = (): Rule => recognised((value) => typeof value === "string" && value.startsWith("/"), "a path such as /a");

const described: Shape<ExternalDocs> = shape<ExternalDocs>(() => ({ url: required(text()), description: text(true) }));

type Contact = NonNullable<OpenApiOptions["contact"]>;
const contact: Shape<Contact> = shape<Contact>(() => ({ name: text(), url: text(), email: text() }));

type License = NonNullable<OpenApiOptions["license"]>;
const license: Shape<License> = shape<License>(
  () => ({ name: required(text()), url: text(), identifier: text() }),
  ({ url, identifier }) =>
    url !== undefined && identifier !== undefined
      ? { path: "url", message: "and identifier exclude one another" }
      : undefined,
);

type Tag = NonNullable<OpenApiOptions["tags"]>[number];
const tag: Shape<Tag> = shape<Tag>(() => ({
  name: required(text()),
  description: text(true),
  externalDocs: described,
}));

/** What the options of the document must be. */
export const openApiShape: Shape<OpenApiOptions> = shape<OpenApiOptions>(() => ({
  title: required(text()),
  version: required(text()),
  summary: text(),
  description: text(true),
  termsOfService: text(),
  contact,
  license,
  servers: listOf(described),
  tags: listOf(tag),
  externalDocs: described,
  operationId: literalOr(false, func()),
  transform: func(),
  path: path(),
  docs: literalOr(false, path()),
}));

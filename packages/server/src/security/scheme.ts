/** How a security scheme stands in an OpenAPI document. */
export interface Scheme {
  /** Its name in the document; two schemes of one app may not share it. */
  readonly name: string;
  /** False when a request without credentials is let through, with `null` for them. */
  readonly required: boolean;
  /** Status of the answer to a request without credentials. */
  readonly missingStatus: number;
  readonly document: SchemeDocument;
  /** What may be shown in its place. */
  readonly or?: Scheme | undefined;
}

/** A security scheme object of OpenAPI. */
export type SchemeDocument =
  | {
      readonly type: "apiKey";
      readonly in: "header" | "query" | "cookie";
      readonly name: string;
      readonly description?: string;
    }
  | { readonly type: "http"; readonly scheme: string; readonly bearerFormat?: string; readonly description?: string }
  | { readonly type: "oauth2"; readonly flows: Readonly<Record<string, OAuthFlow>>; readonly description?: string }
  | { readonly type: "openIdConnect"; readonly openIdConnectUrl: string; readonly description?: string };

/** A flow of OAuth2, as OpenAPI has it. */
export interface OAuthFlow {
  readonly authorizationUrl?: string;
  readonly tokenUrl?: string;
  readonly refreshUrl?: string;
  /** Scopes and what they are for. */
  readonly scopes: Readonly<Record<string, string>>;
}

/** What we need of a fetch: that of Node, or the one of an HTTP session. */
export type Fetch = (
  url: string,
  init: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string | ArrayBuffer;
    readonly signal: AbortSignal;
    /** Redirects are followed, or given back as an answer. Default `follow`. */
    readonly redirect?: "follow" | "manual";
  },
) => Promise<Pick<Response, "status" | "headers" | "body">>;

/** That of Node. */
export const nodeFetch: Fetch = (url, init) => fetch(url, init);

/** Whether it is a URL of http or https, without a password, which would stand in messages. */
export function isWebUrl(value: unknown): value is string {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return (protocol === "http:" || protocol === "https:") && username === "" && password === "";
}

/** Fetch hides why a connection failed in the cause. */
export function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

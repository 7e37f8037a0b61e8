import { StewardError } from "@steward/core";
import {
  assertShape,
  func,
  recordOf,
  required,
  rule,
  shape,
  text,
  withMethods,
  type Shape,
} from "@steward/core/driver";
import type { AlertMessage } from "./message.ts";
import type { SendAlert } from "./options.ts";

/** What sends over HTTP: a session of `@steward/http`, or any dispatcher of undici with a `request` of that shape. */
export interface WebhookHttp {
  request(
    url: string,
    options: {
      readonly method: "POST";
      readonly headers: Record<string, string>;
      readonly body: string;
      readonly signal: AbortSignal;
    },
  ): Promise<{
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly body: { dump(): Promise<unknown> };
  }>;
}

/** How a webhook is called. */
export interface WebhookOptions {
  /** Headers besides `content-type`, such as `authorization`. Default none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Makes the body of a message: whatever JSON can say. Default: the message itself, whose `text` chats show. */
  readonly body?: ((message: AlertMessage) => unknown) | undefined;
}

const webhookShape: Shape<WebhookOptions> = shape<WebhookOptions>(() => ({
  headers: recordOf(text(true)),
  body: func(),
}));

const targetShape = shape<{ readonly http: unknown; readonly url: string }>(() => ({
  http: required(withMethods("a session of HTTP", "request")),
  url: required(
    rule("a URL", (value) =>
      typeof value === "string" && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
        ? undefined
        : "must be a URL of http or https",
    ),
  ),
}));

/**
 * Sends messages as JSON to a URL, by POST. 2xx is delivered; 408, 429 and 5xx are tried again, `retry-after` is
 * respected; any other status is a refusal.
 *
 * @param url Often a secret itself: errors name its origin alone.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function webhook(http: WebhookHttp, url: string, options: WebhookOptions = {}): SendAlert {
  assertShape("webhook", targetShape, { http, url });
  assertShape("webhook", webhookShape, options);
  const { headers = {}, body = (message) => message } = options;
  const { origin } = new URL(url);
  return async (message, { signal }) => {
    const answer = await http.request(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body(message)),
      signal,
    });
    await answer.body.dump();
    const { statusCode } = answer;
    if (statusCode >= 200 && statusCode < 300) return;
    throw new StewardError("TELEMETRY_WEBHOOK_REFUSED", `the webhook at ${origin} answered ${statusCode}`, {
      retryable: statusCode === 408 || statusCode === 429 || statusCode >= 500,
      retryAfterMs: retryAfterMs(answer.headers["retry-after"]),
    });
  };
}

function retryAfterMs(header: string | string[] | undefined): number | undefined {
  const seconds = Number(header);
  return header === undefined || !Number.isFinite(seconds) || seconds < 0 ? undefined : seconds * 1_000;
}

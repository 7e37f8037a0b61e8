/** Every error code of `@steward/http`, with what it means. */
export const HTTP_CODES = {
  HTTP_ORIGIN_MISSING: "A call gave only a path, and the session has no baseUrl.",
  HTTP_URL_INVALID: "A call, or a redirect, leads to what is no URL.",
  HTTP_PLAINTEXT_REFUSED: "A call would send its authorization in plain text to another machine.",
  HTTP_ORIGIN_REFUSED: "A call, or a redirect, goes to an origin that is not on the allow list.",
  HTTP_ADDRESS_REFUSED: "A host resolves to an address that the session must not connect to.",
  HTTP_REPLY_TIMEOUT: "The request was sent, and no response headers came within headersTimeoutMs.",
  HTTP_RESPONSE_TOO_LARGE: "A response body is larger than maxResponseBytes.",
  HTTP_BODY_UNREAD: "A response body was not read for unreadBodyTimeoutMs, so its connection was taken back.",
  HTTP_PROXY_REFUSED: "The proxy did not open a tunnel.",
  HTTP_REDIRECT_REFUSED: "A fetch met a redirect that it must not or cannot follow.",
  HTTP_PROBE_FAILED: "The probe URL answered with an error status, or every origin in use fails.",
} as const;

/** A code that `@steward/http` itself raises. */
export type HttpCode = keyof typeof HTTP_CODES;

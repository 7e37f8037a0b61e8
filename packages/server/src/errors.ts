import { STATUS_CODES, validateHeaderValue } from "node:http";
import { StewardError, type StewardErrorDetails } from "@steward/core";
import {
  anything,
  assertShape,
  brand,
  recognised,
  recordOf,
  shape,
  text,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import type { Issue } from "./inputs/issue.ts";

/** Every error code of `@steward/server`, with what it means. */
export const SERVER_CODES = {
  ROUTE_INVALID:
    "A route asks for what it cannot have, such as two security schemes of one name or a form beside a JSON body.",
  INPUT_INVALID: "The request's input is not what the route asks for; every problem is in `issues`.",
  NOT_REGISTERED: "A handler with needs was used on an app that was not joined with a container.",
  PORT_BUSY: "The port that a server is to listen on belongs to another program.",
  BACKGROUND_LOST: "Background tasks had not run when the app had to stop.",
} as const;

/** A code that `@steward/server` itself raises. */
export type ServerCode = keyof typeof SERVER_CODES;

/** Makes an error of this package. */
export function serverError(code: ServerCode, message: string, details?: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}

/** What an answer that is not a success carries besides its status and detail. */
export interface HttpErrorOptions {
  /** Headers of the answer, such as `www-authenticate`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What went wrong, for programs. */
  readonly code?: string;
  /** Further members of the answer's body, beside the standard ones; any JSON. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** What made it fail; it stays here. */
  readonly cause?: unknown;
}

const header: Rule = recognised((value) => typeof value === "string" && isHeaderValue(value), "the value of a header");

const httpErrorShape: Shape<HttpErrorOptions> = shape<HttpErrorOptions>(() => ({
  headers: recordOf(header),
  code: text(),
  members: recordOf(anything()),
  cause: anything(),
}));

const status: Rule = recognised(
  (value) => Number.isInteger(value) && Number(value) >= 400 && Number(value) <= 599,
  "a status from 400 to 599",
);

function isHeaderValue(value: string): boolean {
  try {
    validateHeaderValue("x", value);
    return true;
  } catch {
    return false;
  }
}

/**
 * An answer that is not a success: thrown by a handler or a dependency, and given to the client as it is.
 *
 * @throws {OPTIONS_INVALID} when the status is none of 400 to 599, or a header cannot be sent.
 *
 * @example
 * ```ts
 * import { HttpError } from "@steward/server";
 * const error = new HttpError(404, "there is no such video");
 * console.log(error.statusCode, error.message); // => 404 there is no such video
 * const taken = new HttpError(409, { reason: "taken", by: "ann" });
 * console.log(taken.detail); // => { reason: 'taken', by: 'ann' }
 * ```
 */
export class HttpError extends Error {
  override readonly name: string = "HttpError";
  /** Status of the answer: 400 to 599. */
  readonly statusCode: number;
  /** What the client reads: a sentence, or any JSON. */
  readonly detail: unknown;
  /** Headers of the answer, such as `www-authenticate`. */
  readonly headers: Readonly<Record<string, string>>;
  /** What went wrong, for programs; sent where there is one. */
  readonly code: string | undefined;
  /** Further members of the answer's body. */
  readonly members: Readonly<Record<string, unknown>>;

  /** @param detail A sentence; or any JSON, whose members become members of the problem. */
  constructor(statusCode: number, detail: unknown, options: HttpErrorOptions = {}) {
    assertShape("HttpError", httpErrorShape, options);
    assertShape("HttpError", status, statusCode);
    super(
      typeof detail === "string" ? detail : (STATUS_CODES[statusCode] ?? "refused"),
      "cause" in options ? { cause: options.cause } : undefined,
    );
    this.statusCode = statusCode;
    this.detail = detail;
    this.headers = options.headers ?? {};
    this.code = options.code;
    this.members = options.members ?? {};
  }

  static {
    brand(this, "http-error");
  }
}

/** The error of a request without credentials. */
export function unauthenticated(challenge: string): HttpError {
  return new HttpError(401, "Not authenticated", { headers: { "www-authenticate": challenge } });
}

/** Input that is not what the route asks for: every problem of every part of the request. */
export class InvalidInput extends StewardError {
  override readonly name = "InvalidInput";
  readonly issues: readonly Issue[];

  constructor(issues: readonly Issue[]) {
    super(
      "INPUT_INVALID",
      `the input is not valid: ${issues.map((issue) => `${issue.path.join(".")} ${issue.message}`).join("; ")}`,
    );
    this.issues = issues;
  }

  static {
    brand(this, "invalid-input");
  }
}

/** Ends a WebSocket with a code and a reason, thrown by its handler or by a dependency of it. */
export class SocketError extends Error {
  override readonly name = "SocketError";
  /** Close code: 1000 to 4999. */
  readonly closeCode: number;

  /** @param reason Sent to the client; cut to the 123 bytes that a close frame can carry. */
  constructor(closeCode: number, reason = "") {
    super(reason);
    this.closeCode = closeCode;
  }

  static {
    brand(this, "socket-error");
  }
}

import { HttpError } from "../errors.ts";

/** The error of a form that breaks off, or is none. */
export function malformedForm(): HttpError {
  return new HttpError(400, "malformed multipart form", { code: "FORM_MALFORMED" });
}

/** The error of a form, or a part of it, that is over a bound. */
export function tooLarge(detail: string): HttpError {
  return new HttpError(413, detail, { code: "FORM_TOO_LARGE" });
}

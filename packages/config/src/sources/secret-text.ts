import { TextFault } from "./file-text.ts";

/** A secret in a file ends with a line break that is not part of it. */
export function withoutLastBreak(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** Why a file gives no secret, without its name, which may be a secret by mistake. */
export function unreadable(cause: unknown, question: string): string {
  return cause instanceof TextFault
    ? `its file ${cause.message}; a key in bytes is written as base64 or hex`
    : `its file cannot be read (${codeOf(cause)}); ${question}`;
}

/** `ENOENT` and the like: the text of an error of the system names the file, which may be a secret by mistake. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "failed";
}

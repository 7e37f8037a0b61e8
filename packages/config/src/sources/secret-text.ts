/** A secret in a file ends with a line break that is not part of it. */
export function withoutLastBreak(text: string): string {
  return text.replace(/\r?\n$/, "");
}

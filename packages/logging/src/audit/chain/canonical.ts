/**
 * JSON in the one form that a value has: names in order, nothing between them, no `undefined`. After RFC 8785 (JSON
 * Canonicalization Scheme), so that other programs can work out the same hashes.
 *
 * Half of a surrogate pair, which the RFC refuses, becomes U+FFFD: what was done has to be recorded all the same.
 */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one ?? null)).join(",")}]`;
  if (typeof value === "string") return JSON.stringify(wellFormed(value));
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1)) // by UTF-16 units, as the RFC has it
    .map(([name, one]) => `${JSON.stringify(wellFormed(name))}:${canonical(one)}`);
  return `{${fields.join(",")}}`;
}

function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text;
}

/**
 * JSON in the one form that a value has: names in order, nothing between them, no `undefined`. After RFC 8785 (JSON
 * Canonicalization Scheme), so that other programs can work out the same hashes.
 *
 * Half of a surrogate pair, which the RFC refuses, and NUL, which jsonb of Postgres refuses, become U+FFFD: what was done
 * has to be recorded all the same, and both may come from a caller.
 */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one ?? null)).join(",")}]`;
  if (typeof value === "string") return JSON.stringify(wellFormed(value));
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const named = Object.entries(value).flatMap(([name, one]) =>
    one === undefined ? [] : [[wellFormed(name), one] as const],
  );
  const fields = [...new Map(named)]
    .sort(([a], [b]) => (a < b ? -1 : 1)) // by UTF-16 units, as the RFC has it
    .map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`);
  return `{${fields.join(",")}}`;
}

function wellFormed(text: string): string {
  return /[\p{Surrogate}\0]/u.test(text) ? Buffer.from(text).toString().replaceAll("\0", "\ufffd") : text;
}

/** Longest password, in bytes: a longer one would make hashing a means of attack. */
export const MAX_PASSWORD_BYTES = 1_024;

/** Longest name that is looked up, in characters. */
export const MAX_LOGIN = 320;

/** Shorter names are in too many words. */
const MIN_NAME = 3;

/** How a name or a password is compared. */
export function folded(text: string): string {
  return text.normalize("NFKC").trim().toLowerCase();
}

/** Whether it can be the password of somebody: text of 1 to 1,024 bytes without halves of characters. */
export function isPassword(value: unknown): value is string {
  if (typeof value !== "string" || value === "" || value.length > MAX_PASSWORD_BYTES) return false;
  const bytes = Buffer.from(value);
  return bytes.length <= MAX_PASSWORD_BYTES && bytes.toString() === value;
}

/** Why a new password is refused, as a sentence for its user; `undefined` where it may be one. */
export function problemOf(password: unknown, names: readonly string[], minLength: number): string | undefined {
  if (!isPassword(password)) return `a password is text of 1 to ${MAX_PASSWORD_BYTES} bytes`;
  const whole = folded(password);
  const length = [...whole].length;
  if (length < minLength) return `a password has at least ${minLength} characters; this one has ${length}`;
  const own = withoutNames(whole, names);
  if ([...own].length < minLength)
    return `a password has at least ${minLength} characters besides the name or the address of its user`;
  if (new Set(own).size < 4) return "a password has more than three different characters";
  return undefined;
}

/** What is left of a password without the user's names, and without their parts, such as those of an address of mail. */
function withoutNames(password: string, names: readonly string[]): string {
  const parts = names.map(folded).flatMap((name) => [name, ...name.split(/[^\p{L}\p{N}]+/u)]);
  const long = [...new Set(parts)].filter(({ length }) => length >= MIN_NAME);
  return long.sort((a, b) => b.length - a.length).reduce((left, name) => left.replaceAll(name, ""), password);
}

import type { SecretKeys } from "./keys.ts";

export const MASK = "[secret]";

// Each begins with something that is rare in text, or is bounded: the time is that of the length of the text.
const USERINFO = /:\/\/[^\s/?#]*@/g;
const ASSIGNED = /(?<=([\w.-]{1,64}))=[^&\s#;,"'<>]+/g;
const QUOTED = /(?<=["']([\w.-]{1,64})["']\s{0,3}:\s{0,3}")(?:[^"\\]|\\.)*/g;
const HEADER = /\b((?:set-)?cookie|(?:proxy-)?authorization)\s?:\s?[^\r\n]+/gi;
const SCHEME = /\b(bearer|basic) {1,3}[\w.~+/=-]{8,}/gi;

/** What all of the above need: most text has none of it. Two searches, for the first is several times as fast as both in one. */
const SUSPECT = /[:="]/;
const SPACED = /(?:bearer|basic) /i;

/** Up to here a loop takes less than the call of a regular expression. */
const SHORT = 24;
const [SPACE, QUOTE, COLON, EQUALS] = [0x20, 0x22, 0x3a, 0x3d];

/** Whether there is anything in a text that could mark a secret. Where there is not, it needs no masking. */
export function mayHoldSecrets(text: string): boolean {
  if (text.length > SHORT) return SUSPECT.test(text) || SPACED.test(text);
  let hasSpace = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === COLON || code === EQUALS || code === QUOTE) return true;
    hasSpace ||= code === SPACE;
  }
  return hasSpace && SPACED.test(text);
}

/** Text without the secrets that can be seen in it: userinfo of URLs, values of secret names, headers. */
export function maskText(text: string, keys: SecretKeys): string {
  if (!mayHoldSecrets(text)) return text;
  let masked = text;
  if (masked.includes("://")) masked = masked.replace(USERINFO, "://***@");
  if (masked.includes(":")) masked = masked.replace(HEADER, `$1: ${MASK}`);
  if (masked.includes(" ")) masked = masked.replace(SCHEME, `$1 ${MASK}`);
  if (masked.includes("="))
    masked = masked.replace(ASSIGNED, (all, name: string) => (keys.has(name) ? `=${MASK}` : all));
  if (masked.includes('"')) masked = masked.replace(QUOTED, (all, name: string) => (keys.has(name) ? MASK : all));
  return masked;
}

import { utf8 } from "../suites/encoding/bytes.ts";

/** The form in which passwords are hashed: NFKC, so that keyboards that compose characters differently agree. */
export function normalized(password: string): string {
  return password.normalize("NFKC");
}

/**
 * What a password may have been hashed as: normalised, and as earlier versions and other systems did it: as typed,
 * composed (NFC) or decomposed (NFD). One for ASCII; at most four.
 */
export function spellings(password: string): readonly Buffer[] {
  // No regular expression: `RegExp.input` would keep the password.
  const isAscii = Buffer.byteLength(password, "utf8") === password.length;
  const forms = isAscii
    ? [password]
    : [normalized(password), password, password.normalize("NFC"), password.normalize("NFD")];
  return [...new Set(forms)].flatMap((form) => utf8(form) ?? []);
}

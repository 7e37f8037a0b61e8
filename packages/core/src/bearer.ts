const SCHEME = /^bearer +(.+)$/i;

/**
 * Makes a check of whether an `authorization` header carries the token. Digests are compared, in constant time, so that
 * neither the content nor the length of the token shows in how long it takes. The scheme is read in any case.
 */
export function bearerCheck(token: string): (authorization: unknown) => boolean {
  let expected: Buffer | undefined;
  return (authorization) => {
    const { createHash, timingSafeEqual } = process.getBuiltinModule("node:crypto"); // only who has a token pays for it
    const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
    const given = typeof authorization === "string" ? SCHEME.exec(authorization)?.[1] : undefined;
    return timingSafeEqual(digest(given ?? ""), (expected ??= digest(token))) && given !== undefined;
  };
}

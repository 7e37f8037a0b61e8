import { assertShape, OptionsError, rule, type Rule, type Shape } from "@steward/core/driver";
import { associated, type Associated } from "../../suites/encoding/associated-data.ts";

/** What associated data must be. Nothing is looked at here: {@link associatedOf} does it, once. */
export const aadRule = (): Rule => rule("bytes, text or pairs of text", () => undefined);

/**
 * The options of a call that encrypts or decrypts are right, and this is their associated data.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function associatedOf<T extends { readonly aad?: unknown }>(
  owner: string,
  of: Shape<T>,
  options: T | undefined,
): Associated | undefined {
  if (options === undefined) return undefined;
  assertShape(owner, of, options);
  if (!("aad" in options)) return undefined;
  const data = associated(options.aad);
  if (typeof data !== "string") return data;
  throw new OptionsError([{ resource: owner, path: "aad", message: data }]);
}

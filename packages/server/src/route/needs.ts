import { resource } from "@steward/core";
import type { Needs } from "@steward/core/container";
import { serverError } from "../errors.ts";

/**
 * Checks that all of them are needs.
 *
 * @throws {ROUTE_INVALID} when they are no object.
 * @throws {NEED_INVALID} when one is none, most often a value of the same name.
 */
export function assertNeeds(name: string, needs: Needs): void {
  if (typeof needs !== "object" || needs === null || Array.isArray(needs))
    throw serverError(
      "ROUTE_INVALID",
      `the needs of ${name} are an object of definitions, such as { db }, not ${kindOf(needs)}`,
    );
  resource(name, { lifetime: "handler", needs: { ...needs } as {}, start: () => undefined }); // it checks them
}

/** What a value is, for a sentence. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "an array" : `a ${typeof value}`.replace("a object", "an object");
}

import { resource } from "@steward/core";
import type { Needs } from "@steward/core/container";

/** Checks that all of them are needs. @throws {NEED_INVALID} when one is none, most often a value of the same name. */
export function assertNeeds(name: string, needs: Needs): void {
  resource(name, { lifetime: "handler", needs: { ...needs } as {}, start: () => undefined }); // it checks them
}

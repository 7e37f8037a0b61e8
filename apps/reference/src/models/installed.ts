import { resource } from "@steward/core";

/** What models run on here. */
export interface Installed {
  /** The engine, as a module with its API. */
  readonly engine: string;
  /** The file of the voice-activity model. */
  readonly voice: string;
}

const MISSING = new Set(["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"]);

/**
 * Looks for the engine and the voice-activity model, which are optional: `npm start` does without their 300 MB.
 *
 * @param load Loads what says where they are.
 */
export async function installedBy(
  load: () => Promise<Installed> = () => import("@steward/onnx/voice"),
): Promise<Installed | undefined> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof Error && "code" in error && MISSING.has(String(error.code))) return undefined;
    throw error;
  }
}

/** What models run on, or `undefined` where it is not installed. */
export const installed = resource("modelEngine", { start: () => installedBy() });

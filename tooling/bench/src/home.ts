import { join } from "node:path";

/** The folder of this package. */
export const home: string = join(import.meta.dirname, "..");

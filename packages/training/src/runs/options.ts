import { textSchema } from "@steward/core/driver";
import * as v from "valibot";

/** Options of a {@link RunLogManager}. */
export interface RunLogOptions {
  /** Where the files are; it is made where it is missing. */
  readonly folder: string;
}

/** What the options of a run log must be. */
export const runLogSchema: v.GenericSchema<unknown, RunLogOptions> = v.strictObject({ folder: textSchema() });

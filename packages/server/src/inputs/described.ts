import type { WantedFile } from "../forms/options.ts";
import type { InputPlace } from "./issue.ts";
import type { InputSchema } from "./schema.ts";

/** What a request input is, for its reader and for the document. */
export interface Parameter {
  readonly place: InputPlace;
  /** As it stands in the request: headers in lower case, with hyphens. */
  readonly name: string;
  readonly schema: InputSchema;
  readonly required: boolean;
  /** False for what is read but not described. */
  readonly inDocument: boolean;
  readonly description: string | undefined;
  /** How its files are taken; set for files alone. */
  readonly files?: WantedFile & { readonly isList: boolean };
}

import type { InputPlace } from "./issue.ts";
import type { InputSchema } from "./schema.ts";

/** What a request input is, for its reader and for the document. */
export interface Parameter {
  readonly place: InputPlace;
  /** As it stands in the request: headers in lower case, with hyphens. */
  readonly name: string;
  readonly schema: InputSchema;
  readonly required: boolean;
  /** False for what is read but not told. */
  readonly inDocument: boolean;
  readonly description: string | undefined;
}

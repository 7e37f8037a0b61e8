import { brand } from "@steward/core/driver";

/** Where in a request an input stands. */
export type InputPlace = "query" | "header" | "cookie" | "path" | "body" | "form" | "file";

/** One thing that is wrong with the input. */
export interface Issue {
  /** Where: the place, then the names and indices down to the value. Forms and files count as `body`. */
  readonly path: readonly (string | number)[];
  /** What is wrong, for the code of a client: `missing`, `int_parsing`, `string_too_short`. */
  readonly code: string;
  /** What is wrong, for people. */
  readonly message: string;
  /** What was given instead. */
  readonly input?: unknown;
  /** The limit that was not kept, such as `{ ge: 1 }`. */
  readonly limit?: Readonly<Record<string, unknown>>;
}

/** Code of an issue of a body whose media type the route does not take: the answer is 415. */
export const MEDIA_TYPE = "media_type";

/** What a reader gives for an input that is not valid. */
export class Invalid {
  readonly issues: readonly Issue[];

  constructor(issues: readonly Issue[]) {
    this.issues = issues;
  }

  static {
    brand(this, "invalid-value");
  }
}

/** Issues without repetition: two dependencies may read the same input. */
export function distinct(issues: readonly Issue[]): Issue[] {
  const seen = new Map(issues.map((issue) => [JSON.stringify([issue.path, issue.code, issue.message]), issue]));
  return [...seen.values()];
}

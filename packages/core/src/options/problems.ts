import { brand, StewardError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** One thing that is wrong with the options of a resource. */
export interface OptionsProblem {
  /** Name of the resource, or of the function whose options these are. */
  readonly resource: string;
  /** Path of the option, such as `tls.ca`; empty for the options as a whole. */
  readonly path: string;
  /** What is wrong and what would be right. */
  readonly message: string;
  /** Where the value comes from, such as `config/app.yaml:3:9` or `variable PORT`. Default: from the program itself. */
  readonly source?: string | undefined;
}

/** The options of something were refused; `problems` lists everything that is wrong with all of them. */
export class OptionsError extends StewardError {
  override readonly name = "OptionsError";
  readonly problems: readonly OptionsProblem[];

  constructor(problems: readonly OptionsProblem[]) {
    const lines = problems.map((p) => `  ${p.resource}${p.path === "" ? "" : `.${p.path}`}: ${p.message}${placeOf(p)}`);
    super(
      "OPTIONS_INVALID",
      `${problems.length === 1 ? "1 option is" : `${problems.length} options are`} wrong:\n${lines.join("\n")}`,
      { resource: problems[0]?.resource },
    );
    this.problems = problems;
  }

  static {
    brand(this, "options-error");
  }
}

function placeOf({ source }: OptionsProblem): string {
  return source === undefined ? "" : ` (${source})`;
}

/** The one sentence about a key that is not an option. */
export function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === undefined
    ? `is not an option; known: ${known.join(", ")}`
    : `is not an option; did you mean "${near}"?`;
}

/** The one sentence about a value of the wrong type. `showsText` where the text cannot be a secret. */
export function wrongType(expected: string, value: unknown, showsText = false): string {
  return `expected ${expected}, received ${received(value, showsText)}`;
}

/** A secret may stand in the wrong place, so only numbers, booleans and short unions show what was received. */
function received(value: unknown, showsText: boolean): string {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "string" && showsText) return JSON.stringify(value);
  return Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}

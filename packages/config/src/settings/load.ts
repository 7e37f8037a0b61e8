import { isRetryable, StewardError, type Clock } from "@steward/core";
import { describeError, OptionsError, withTimeout } from "@steward/core/driver";
import type { Model } from "../schema/read-schema.ts";
import { mapAt, merge, type Node, type Reading, type SourceProblem } from "../sources/node.ts";
import { prefixOf, type Source } from "../sources/source.ts";
import { coerce } from "./coerce.ts";
import { unknownNames } from "./unknown-names.ts";
import { validate } from "./validate.ts";

/** A source with what it said. */
export interface ReadSource {
  readonly source: Source;
  readonly reading: Reading;
}

/** Settings that are right, and where each of them comes from. */
export interface Loaded {
  readonly value: Readonly<Record<string, unknown>>;
  readonly sources: readonly ReadSource[];
  readonly warnings: readonly string[];
}

/** What of the manager a reading needs. */
export interface LoadContext {
  readonly model: Model;
  readonly sources: readonly Source[];
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** All sources, read at once; none rejects. */
export async function readSources({
  model,
  sources,
  clock,
  timeoutMs,
  signal: outer,
}: LoadContext): Promise<ReadSource[]> {
  return Promise.all(
    sources.map(async (source) => {
      const abort = new AbortController();
      const read = async (): Promise<Reading> => source.read({ signal: abort.signal, model });
      try {
        return { source, reading: await withTimeout(clock, timeoutMs, read, { abort, outer }) };
      } catch (cause) {
        outer.throwIfAborted();
        return {
          source,
          reading: unreadable(
            source,
            abort.signal.aborted ? `no answer within ${timeoutMs} ms` : describeError(cause),
            cause,
          ),
        };
      }
    }),
  );
}

function unreadable({ name }: Source, why: string, cause: unknown): Reading {
  const problem: SourceProblem = {
    code: "CONFIG_SOURCE_UNREADABLE",
    path: "",
    message: `cannot be read: ${why}`,
    source: name,
    cause,
  };
  return { node: undefined, problems: [problem] };
}

/**
 * Reads all sources, merges them, and has the schema judge the whole.
 *
 * @throws {OPTIONS_INVALID} listing everything that is wrong in all sources together.
 * @throws {CONFIG_SOURCE_UNREADABLE} when all that is wrong is that a source cannot be read.
 * @throws {CONFIG_PARSE_FAILED} when all that is wrong is the syntax of a file.
 */
export async function load(context: LoadContext): Promise<Loaded> {
  const { model } = context;
  const sources = await readSources(context);
  const problems = sources.flatMap(({ reading }) => [
    ...reading.problems,
    ...(reading.node === undefined ? [] : unknownNames(model, reading.node)),
  ]);
  const isPartial = problems.some(({ code }) => code !== undefined);
  const whole = sources.reduce<Node>(
    (before, { reading }) => (reading.node === undefined ? before : merge(before, reading.node)),
    mapAt(""),
  );
  const { value, problems: unfit } = coerce(model.root, whole);
  const validated = await validate({ model, given: value, node: whole, prefix: prefixOf(context.sources) });
  const seen = new Set(
    [...problems, ...unfit].flatMap(({ path, meant = "" }) => [path, meant]).filter((path) => path !== ""),
  );
  // What stands in a source that could not be read is not missing, and what was refused already is not refused twice.
  const judged = validated.problems.filter(
    ({ path, source }) => !(isPartial && source === undefined) && !seen.has(path) && !isBelow(path, seen),
  );
  const all = [...problems, ...unfit, ...judged];
  if (all.length > 0 || validated.value === undefined) throw configError(model.resource, all);
  return { value: validated.value, sources, warnings: sources.flatMap(({ reading }) => reading.warnings ?? []) };
}

function isBelow(path: string, seen: ReadonlySet<string>): boolean {
  const keys = path.split(".");
  return keys.some((_, index) => index > 0 && seen.has(keys.slice(0, index).join(".")));
}

/** One error for all that is wrong. */
function configError(resource: string, problems: readonly SourceProblem[]): StewardError {
  const shown = problems.map(({ path, message, source }) => ({ resource, path, message, source }));
  const [first, ...others] = problems;
  const alone = first?.code !== undefined && others.every(({ code }) => code === first.code) ? first.code : undefined;
  if (alone === undefined) return new OptionsError(shown);
  const lines = problems.map(
    ({ path, source, message }) => `  ${source ?? resource}: ${path === "" ? "" : `${path} `}${message}`,
  );
  const what = alone === "CONFIG_PARSE_FAILED" ? "cannot be understood" : "cannot be read";
  const message = `${resource}: ${problems.length === 1 ? "a source" : `${problems.length} sources`} ${what}:\n${lines.join("\n")}`;
  const retryable = alone === "CONFIG_SOURCE_UNREADABLE" && problems.every(({ cause }) => isRetryable(cause));
  return new StewardError(alone, message, { resource, retryable });
}

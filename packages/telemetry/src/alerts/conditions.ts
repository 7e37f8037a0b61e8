import type { MetricSample } from "@steward/core";
import { assertShape, recordOf, required, rule, shape, text, type Shape } from "@steward/core/driver";
import type { AlertHealth } from "./source.ts";

/** What there is to look at, read once for all rules. */
export interface Sight {
  readonly health: AlertHealth;
  /** All series; read at the first question for one. */
  series(): readonly MetricSample[];
}

/** What a condition saw. */
export interface Observation {
  readonly holds: boolean;
  /** What is so, in words. */
  readonly text: string;
  readonly value?: number | undefined;
  /** For how long it has been so, in ms, where that is known. */
  readonly sinceMs?: number | undefined;
}

/** Something that may be so or not: {@link unhealthy}, {@link metric}. */
export interface AlertCondition {
  /** What it is about, such as `resource "db"`. */
  readonly about: string;
  /** What is seen now; `undefined` where there is nothing of what it is about. */
  look(sight: Sight): Observation | undefined;
}

const nameShape = shape<{ readonly resource: string | undefined }>(() => ({ resource: text() }));

/**
 * True while a resource is unhealthy; without a name, while any is.
 *
 * @throws {OPTIONS_INVALID} when the name is no text.
 */
export function unhealthy(resource?: string): AlertCondition {
  assertShape("unhealthy", nameShape, { resource });
  return {
    about: resource === undefined ? "resources" : `resource "${resource}"`,
    look({ health: { resources } }) {
      const looked = resource === undefined ? resources : resources.filter(({ name }) => name === resource);
      if (looked.length === 0) return undefined;
      const down = looked.filter(({ status }) => status === "unhealthy");
      const longest = Math.max(...down.map(({ sinceMs }) => sinceMs ?? 0));
      return {
        holds: down.length > 0,
        text: down
          .map(({ name, reason }) => `${name} is unhealthy${reason === undefined ? "" : `: ${reason}`}`)
          .join("; "),
        sinceMs: down.length > 0 ? longest : undefined,
      };
    },
  };
}

/** What a metric is compared with. */
export interface MetricCondition {
  /** True while one of its series is above `bound`. */
  above(bound: number): AlertCondition;
  /** True while one of its series is below `bound`. */
  below(bound: number): AlertCondition;
}

interface MetricParts {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const metricShape: Shape<MetricParts> = shape<MetricParts>(() => ({
  name: required(text()),
  attributes: required(recordOf(text(true))),
}));

const boundShape = shape<{ readonly bound: number }>(() => ({
  bound: required(rule("a number", (value) => (Number.isFinite(value) ? undefined : "must be a finite number"))),
}));

/**
 * A counter or gauge, by the name and the attributes of its series.
 *
 * @param attributes Those that a series must have; it may have more.
 * @throws {OPTIONS_INVALID} when a name is no text, or a bound no number.
 */
export function metric(name: string, attributes: Readonly<Record<string, string>> = {}): MetricCondition {
  assertShape("metric", metricShape, { name, attributes });
  const wanted = Object.entries(attributes);
  const about = `metric ${name}${wanted.length === 0 ? "" : ` of ${wanted.map(([key, value]) => `${key} ${value}`).join(", ")}`}`;
  const compared = (word: "above" | "below", bound: number): AlertCondition => {
    assertShape("metric", boundShape, { bound });
    return {
      about,
      look(sight) {
        const values = sight.series().flatMap((sample) => {
          const isWanted = sample.name === name && wanted.every(([key, value]) => sample.attributes[key] === value);
          return isWanted && typeof sample.value === "number" ? [sample.value] : [];
        });
        if (values.length === 0) return undefined;
        const value = word === "above" ? Math.max(...values) : Math.min(...values);
        const holds = word === "above" ? value > bound : value < bound;
        return { holds, value, text: `${about} is ${value}, ${word} ${bound}` };
      },
    };
  };
  return { above: (bound) => compared("above", bound), below: (bound) => compared("below", bound) };
}

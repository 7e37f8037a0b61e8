import { Secret } from "@steward/core";
import {
  assertShape,
  countSchema,
  flag,
  listOf,
  MAX_TIMER_MS,
  ruleSchema,
  shape,
  text as textRule,
  wholeNumber,
  type Shape,
} from "@steward/core/driver";
import * as v from "valibot";
import { marked } from "./mark.ts";
import { faultOfSecret, parseUrl, schemes, type SecretRules } from "./secrets.ts";
import { amountOf, BYTE_UNITS, DURATION_UNITS } from "./units.ts";

/** A TCP port, 0 to 65,535. */
export function port(): v.GenericSchema<unknown, number> {
  return marked(countSchema(0, 65_535), { types: ["number"] });
}

/** A whole number, from 1 on unless it says otherwise. */
export function count(least = 1, most?: number): v.GenericSchema<unknown, number> {
  return marked(countSchema(least, most), { types: ["number"] });
}

/** Bounds of a {@link duration} or of {@link bytes}. */
export interface AmountOptions {
  /** The least, in ms or bytes. Default 0. */
  readonly least?: number;
  /** The most, in ms or bytes. Default 2,147,483,647, which is what a timer can wait, for durations; none for bytes. */
  readonly most?: number;
}

const amountShape: Shape<AmountOptions> = /* @__PURE__ */ shape<AmountOptions>(() => ({
  least: wholeNumber(0),
  most: wholeNumber(0),
}));

/** A duration in ms: a number of them, or text such as `250ms`, `30s`, `5m`, `2h`, `1d`. */
export function duration(options: AmountOptions = {}): v.GenericSchema<unknown, number> {
  assertShape("duration", amountShape, options);
  const { least = 0, most = MAX_TIMER_MS } = options;
  const rule = { units: DURATION_UNITS, what: "a duration such as 30s, or a number of ms", unit: " ms", least, most };
  return amount(rule, "duration");
}

/** A size in bytes: a number of them, or text such as `512B`, `64KiB`, `10MiB`, `1GiB`. */
export function bytes(options: AmountOptions = {}): v.GenericSchema<unknown, number> {
  assertShape("bytes", amountShape, options);
  const { least = 0, most = Number.MAX_SAFE_INTEGER } = options;
  return amount(
    { units: BYTE_UNITS, what: "a size such as 64KiB, or a number of bytes", unit: " bytes", least, most },
    "bytes",
  );
}

interface AmountRule extends Required<AmountOptions> {
  readonly units: Readonly<Record<string, number>>;
  readonly what: string;
  readonly unit: string;
}

function amount(
  { units, what, unit, least, most }: AmountRule,
  type: "duration" | "bytes",
): v.GenericSchema<unknown, number> {
  const check = (value: unknown): string | undefined => {
    const found = amountOf(value, units);
    if (found === undefined) return `must be ${what}`;
    if (found < least) return `must be at least ${least}${unit}`;
    return found > most ? `must be at most ${most}${unit}` : undefined;
  };
  const schema = v.pipe(
    ruleSchema<unknown>(Object.assign(check, { expects: what })),
    v.transform((value) => amountOf(value, units) ?? 0), // the rule has seen it
  );
  return marked(Object.assign(schema, { expects: what }), { types: [type] });
}

/** What a {@link url} must be like. */
export interface UrlOptions {
  /** Schemes with their colon, such as `https:`. Default: `http:` and `https:`. */
  readonly protocols?: readonly string[];
}

const urlShape: Shape<UrlOptions> = /* @__PURE__ */ shape<UrlOptions>(() => ({ protocols: listOf(textRule()) }));

/** A URL without a user and a password: one with them is a {@link secret}. */
export function url(options: UrlOptions = {}): v.GenericSchema<unknown, string> {
  assertShape("url", urlShape, options);
  const { protocols = ["http:", "https:"] } = options;
  const what = `a URL with ${schemes(protocols)}`;
  const check = (value: unknown): string | undefined => {
    const parsed = typeof value === "string" ? parseUrl(value) : undefined;
    if (parsed === undefined || !protocols.includes(parsed.protocol)) return `must be ${what}`;
    return parsed.password === ""
      ? undefined
      : "must have no password in it; declare it as secret({ protocols }) where it has one";
  };
  return marked(ruleSchema<string>(Object.assign(check, { expects: what })), { types: ["string"] });
}

/** What {@link text} may be. */
export interface TextOptions {
  /** True where empty text is a value: an empty variable counts as unset otherwise. Default `false`. */
  readonly empty?: boolean;
}

const textShape: Shape<TextOptions> = /* @__PURE__ */ shape<TextOptions>(() => ({ empty: flag() }));

/** Text. */
export function text(options: TextOptions = {}): v.GenericSchema<unknown, string> {
  assertShape("text", textShape, options);
  const { empty = false } = options;
  const check = (value: unknown): string | undefined => {
    if (typeof value !== "string") return "must be text; put it in quotes where it looks like something else";
    return value === "" && !empty ? "must not be empty" : undefined;
  };
  return marked(ruleSchema<string>(Object.assign(check, { expects: "text" })), {
    types: ["string"],
    mayBeEmpty: empty,
  });
}

/** A secret that is text, so that showing it waits for nothing. */
export interface TextSecret extends Secret {
  /** The text itself. */
  reveal(): string;
}

const secretShape: Shape<SecretRules> = /* @__PURE__ */ shape<SecretRules>(() => ({
  minBytes: wholeNumber(1),
  protocols: listOf(textRule()),
}));

/**
 * A credential. Its value is a `Secret`: no log, error or `inspect` shows it, and only `reveal()` gives it. It has no
 * default, a placeholder such as `changeme` is refused, and a variable `NAME_FILE` may name a file that holds it.
 *
 * @example
 * ```ts
 * import { secret } from "@steward/config";
 * import * as v from "valibot";
 * const result = v.safeParse(secret({ minBytes: 32 }), "changeme");
 * console.log(result.issues?.[0].message); // => must have at least 32 bytes; openssl rand -base64 32 makes one
 * ```
 */
export function secret(rules: SecretRules = {}): v.GenericSchema<unknown, TextSecret> {
  assertShape("secret", secretShape, rules);
  const what = rules.protocols === undefined ? "a secret" : `a secret URL with ${schemes(rules.protocols)}`;
  const check = (value: unknown): string | undefined => faultOfSecret(value, rules);
  const schema = v.pipe(
    ruleSchema<string | Secret>(Object.assign(check, { expects: what })),
    v.transform((value) => (value instanceof Secret ? value : new Secret(value)) as TextSecret), // it holds text
  );
  return marked(Object.assign(schema, { expects: what }), { types: ["string"], secret: true });
}

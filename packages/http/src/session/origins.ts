import { StewardError } from "@steward/core";
import { Origin, type OriginSettings, type OriginStats } from "./origin.ts";

/** Which origins a session knows. */
export interface OriginsSettings extends OriginSettings {
  readonly maxOrigins: number;
  readonly allowedOrigins: readonly string[] | undefined;
  /** Called for every origin that is not counted any more. */
  readonly forgotten: (origin: Origin) => void;
  /** Origin of `baseUrl`. */
  readonly baseOrigin: string | undefined;
}

/** The sums of a session that was never used. */
export const NOTHING: OriginStats = {
  size: 0,
  idle: 0,
  max: 0,
  inUse: 0,
  pending: 0,
  started: 0,
  succeeded: 0,
  failed: 0,
  overloaded: 0,
  timedOut: 0,
  retried: 0,
  refused: 0,
  retired: 0,
  unread: 0,
};

/** The counts that go on after an origin is forgotten. */
const COUNTERS = [
  "started",
  "succeeded",
  "failed",
  "overloaded",
  "timedOut",
  "retried",
  "refused",
  "retired",
  "unread",
] as const;

const KEYS = Object.keys(NOTHING) as (keyof OriginStats)[]; // it has all of them, and no other

type Sums = { -readonly [K in keyof OriginStats]: number };

/** All origins of a session, made when first called and forgotten, the oldest unused one first, when there are too many. */
export class Origins {
  readonly #settings: OriginsSettings;
  readonly #byOrigin = new Map<string, Origin>();
  /** Origins by the text they were asked for, so that a URL is parsed once. */
  readonly #byText = new Map<string, Origin>();
  readonly #allowed: ReadonlySet<string> | undefined;
  readonly #allowedBelow: readonly { readonly scheme: string; readonly host: string }[];
  #past: OriginStats;

  constructor(settings: OriginsSettings, past: OriginStats) {
    this.#settings = settings;
    this.#past = past;
    const { allowedOrigins, baseOrigin } = settings;
    const exact = allowedOrigins?.filter((text) => !text.includes("*")).map((text) => new URL(text).origin);
    this.#allowed =
      exact === undefined ? undefined : new Set(baseOrigin === undefined ? exact : [baseOrigin, ...exact]);
    this.#allowedBelow = (allowedOrigins ?? []).filter((text) => text.includes("*")).map(belowPattern);
  }

  /**
   * The origin of a call.
   * @throws {HTTP_ORIGIN_MISSING} when it names none and there is no `baseUrl`.
   * @throws {HTTP_ORIGIN_REFUSED} when it is not on the allow list.
   */
  of(given: string | URL | undefined): Origin {
    const text = given === undefined ? this.#settings.baseOrigin : typeof given === "string" ? given : given.origin;
    if (text === undefined || text === "") throw this.#missing();
    return this.#byText.get(text) ?? this.#find(text);
  }

  #missing(): StewardError {
    const { resource } = this.#settings.basis;
    return new StewardError(
      "HTTP_ORIGIN_MISSING",
      `${resource}: a path needs an origin; give a whole URL, or the session a baseUrl`,
      { resource },
    );
  }

  #find(text: string): Origin {
    const { resource } = this.#settings.basis;
    // What is no web address, such as file:, has the origin "null".
    if (text !== "null" && !URL.canParse(text))
      throw new StewardError("HTTP_URL_INVALID", `${resource}: the origin of the call is none`, { resource });
    const origin = text === "null" ? text : new URL(text).origin;
    if (!this.#isAllowed(origin)) throw this.#refused(origin);
    const found = this.#byOrigin.get(origin) ?? this.#make(origin);
    if (this.#byText.size > 2 * this.#settings.maxOrigins) this.#byText.clear();
    this.#byText.set(text, found);
    return found;
  }

  #refused(origin: string): StewardError {
    const { resource } = this.#settings.basis;
    const message = /^https?:/.test(origin)
      ? `${origin} is not on the list of allowedOrigins`
      : "only http: and https: URLs can be called";
    return new StewardError("HTTP_ORIGIN_REFUSED", `${resource}: ${message}`, { resource });
  }

  #isAllowed(origin: string): boolean {
    if (!/^https?:\/\//.test(origin)) return false;
    if (this.#allowed === undefined || this.#allowed.has(origin)) return true;
    return this.#allowedBelow.some(({ scheme, host }) => origin.startsWith(scheme) && origin.endsWith(host));
  }

  #make(origin: string): Origin {
    if (this.#byOrigin.size >= this.#settings.maxOrigins) this.#forgetOne();
    const made = new Origin(origin, this.#settings);
    this.#byOrigin.set(origin, made);
    return made;
  }

  #forgetOne(): void {
    const { maxOrigins, basis } = this.#settings;
    const { resource } = basis;
    const unused = [...this.#byOrigin.values()].find((origin) => origin.unused);
    if (unused === undefined)
      throw new StewardError(
        "OVERLOADED",
        `${resource}: all of ${maxOrigins} origins are in use; raise maxOrigins, or call fewer at once`,
        { resource, retryable: true },
      );
    this.#remember(unused);
    this.#byOrigin.delete(unused.origin);
    for (const [text, origin] of this.#byText) if (origin === unused) this.#byText.delete(text);
    void unused.destroy(
      new StewardError("RESOURCE_UNAVAILABLE", `${resource}: ${unused.origin} was forgotten`, { resource }),
    );
  }

  #remember(origin: Origin): void {
    this.#settings.forgotten(origin);
    const stats = origin.stats();
    const past: Sums = { ...this.#past };
    for (const key of COUNTERS) past[key] += stats[key];
    this.#past = past;
  }

  /** An origin that was called, and not forgotten since. */
  known(origin: string): Origin | undefined {
    return this.#byOrigin.get(origin);
  }

  [Symbol.iterator](): IterableIterator<Origin> {
    return this.#byOrigin.values();
  }

  /** Waits until nothing runs or waits at any origin. */
  async idle(): Promise<void> {
    await Promise.all([...this].map((origin) => origin.guard.idle()));
  }

  async destroy(reason: Error): Promise<void> {
    const all = [...this];
    await Promise.all(all.map((origin) => origin.destroy(reason)));
    for (const origin of all) this.#remember(origin);
    this.#byOrigin.clear();
    this.#byText.clear();
  }

  /** Per origin, and summed up. */
  stats(): { readonly totals: OriginStats; readonly origins: Readonly<Record<string, OriginStats>> } {
    const origins = Object.fromEntries([...this].map((origin) => [origin.origin, Object.freeze(origin.stats())]));
    const totals: Sums = { ...this.#past };
    for (const stats of Object.values(origins)) for (const key of KEYS) totals[key] += stats[key];
    return { totals, origins: Object.freeze(origins) };
  }
}

function belowPattern(text: string): { scheme: string; host: string } {
  const { protocol, host } = new URL(text.replace("://*.", "://"));
  return { scheme: `${protocol}//`, host: `.${host}` };
}

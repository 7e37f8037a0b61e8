import { inspect } from "node:util";
import { brand } from "./errors.ts";

const MASK = "[secret]";

/** A credential: text, or a function that fetches the current one. */
export type SecretSource = string | (() => string | Promise<string>);

/** Holds a credential and shows it nowhere: not in logs, `inspect`, JSON or error text. Only {@link reveal} gives it. */
export class Secret {
  readonly #source: SecretSource;

  constructor(source: SecretSource) {
    this.#source = source;
  }

  /** True when a function fetches it, so that it may be another one the next time. */
  get isFetched(): boolean {
    return typeof this.#source === "function";
  }

  /** The current credential. A function is asked every time, so that a renewed one is seen at the next connect. */
  reveal(): string | Promise<string> {
    return typeof this.#source === "string" ? this.#source : this.#source();
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  static {
    brand(this, "secret");
    Object.defineProperty(this.prototype, inspect.custom, { value: () => MASK });
  }
}

/** A URL that can be shown: user kept, password and query masked. */
export function maskUrl(url: string): string {
  if (!URL.canParse(url)) return MASK;
  const parsed = new URL(url);
  if (parsed.password !== "") parsed.password = "***";
  if (parsed.search !== "") parsed.search = "?***";
  return parsed.href;
}

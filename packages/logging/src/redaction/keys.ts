/** What names of secrets end in, in lower case and without anything between words. */
const USUAL = [
  "password",
  "passwd",
  "pwd",
  "passphrase",
  "secret",
  "token",
  "authorization",
  "cookie",
  "cookies",
  "apikey",
  "accesskey",
  "privatekey",
  "secretkey",
  "sessionid",
  "credential",
  "credentials",
];

/** Names may come from callers, so no more than these are remembered. */
const MAX_KNOWN = 1_000;

/** Says by its name whether a field holds a secret: `password`, `x-api-key`, `refreshToken`. */
export class SecretKeys {
  readonly #endings: readonly string[];
  readonly #shown: ReadonlySet<string>;
  readonly #known = new Map<string, boolean>();

  constructor(also: readonly string[] = [], shown: readonly string[] = []) {
    this.#endings = [...USUAL, ...also.map(plain)].filter((ending) => ending !== "");
    this.#shown = new Set(shown.map(plain));
  }

  has(name: string): boolean {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = this.#look(plain(name));
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(name, found);
    return found;
  }

  #look(name: string): boolean {
    return !this.#shown.has(name) && this.#endings.some((ending) => name.endsWith(ending));
  }
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");
}

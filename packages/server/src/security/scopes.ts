/** Security scopes, in the order in which they were asked for. */
export class Scopes {
  readonly list: readonly string[];

  constructor(list: readonly string[]) {
    this.list = list;
  }

  /** The scopes with a space between them, as OAuth2 writes them. */
  get text(): string {
    return this.list.join(" ");
  }

  /** Those that `granted` lacks. */
  missingIn(granted: Iterable<unknown>): string[] {
    const has = new Set(granted);
    return this.list.filter((scope) => !has.has(scope));
  }
}

/** Scopes that were granted, shared by all requests with the same token: no one can add one. */
export class GrantedScopes extends Set<string> {
  constructor(scopes: Iterable<string>) {
    super();
    for (const scope of scopes) super.add(scope);
    Object.freeze(this);
  }

  override add(): never {
    throw new TypeError("scopes were granted to a token; they do not grow afterwards");
  }

  override delete(): never {
    throw new TypeError("scopes were granted to a token; they do not change afterwards");
  }

  override clear(): never {
    throw new TypeError("scopes were granted to a token; they do not change afterwards");
  }
}

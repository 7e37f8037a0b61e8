/** An API key that is stored: nothing of it is the key, or makes it. */
export interface NewApiKey {
  readonly id: string;
  /** SHA-256 of its secret, as base64url. */
  readonly hash: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** What its owner calls it. */
  readonly name: string;
  /** When it ends, in ms from now; `undefined` for never. */
  readonly ttlMs: number | undefined;
}

/** An API key as its owner sees it. */
export interface ApiKey extends Pick<NewApiKey, "id" | "subject" | "scopes" | "name"> {
  /** When it was made, in ms since 1970. */
  readonly createdAtMs: number;
  /** When it ends, in ms since 1970; `undefined` for never. */
  readonly expiresAtMs: number | undefined;
  /** When it was last used, to a minute, in ms since 1970; `undefined` for never. */
  readonly lastUsedAtMs: number | undefined;
}

/** An API key that is good, with what its secret is compared with. */
export interface FoundApiKey {
  readonly key: ApiKey;
  readonly hash: string;
  /** Whether its last use was so long ago that it should be noted. */
  readonly isUseDue: boolean;
}

/** How long a use stands for those after it, in ms: a key that is used often is not written often. */
export const USE_MS = 60_000;

/** Keeps API keys. Time is that of the store. */
export interface ApiKeyStore {
  create(key: NewApiKey): Promise<void>;
  /** The key; `undefined` where there is none, or it is over or revoked. */
  find(id: string): Promise<FoundApiKey | undefined>;
  /** Notes that it was used now. */
  used(id: string): Promise<void>;
  /** The keys of a user that are good, newest first. */
  list(subject: string): Promise<readonly ApiKey[]>;
  /** Ends a key of that user, and of no other. `false` where there is none. */
  remove(subject: string, id: string): Promise<boolean>;
}

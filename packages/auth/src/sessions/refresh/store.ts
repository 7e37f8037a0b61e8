/** A family of refresh tokens that begins: everything that comes out of one sign-in. */
export interface NewFamily {
  readonly id: string;
  readonly subject: string;
  /** What its access tokens allow. */
  readonly scopes: readonly string[];
  /** Hash of the client's user agent. */
  readonly agent: string;
  /** When it ends unless it is used, in ms from now. */
  readonly idleMs: number;
  /** When it ends in any case, in ms from now. */
  readonly absoluteMs: number;
  /** Most families of the subject; the oldest ones end. */
  readonly maxPerUser: number;
  /** The subject's epoch that the sign-in began in: in a later one nothing is stored. Default: the present one. */
  readonly epoch?: number | undefined;
}

/** A family that goes on. */
export interface Family {
  readonly subject: string;
  readonly scopes: readonly string[];
  /** Number of its present token. */
  readonly counter: number;
  /** When its user signed in, in ms since 1970. */
  readonly beganAtMs: number;
  /** In how many ms it ends unless it is used. */
  readonly endsInMs: number;
}

/** A family as the account page of its user shows it. */
export interface ListedFamily {
  readonly id: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** When its user signed in, in ms since 1970. */
  readonly beganAtMs: number;
  /** When its last token was made, in ms since 1970. */
  readonly usedAtMs: number;
}

/** What a token of a family is used with. */
export interface Use {
  /** Number of the token. */
  readonly counter: number;
  readonly agent: string;
  readonly idleMs: number;
  /** How long, in ms, a client that has lost the answer may ask again with the token that it has used. */
  readonly graceMs: number;
}

/**
 * What became of a use. `rotated`: the next token is the present one. `replayed`: the client has lost the answer, and
 * gets it again. `reused`: two have the token, so the family has ended. `unknown`: there is no such family, or it is over.
 */
export type Rotation =
  | { readonly outcome: "rotated" | "replayed"; readonly family: Family }
  | { readonly outcome: "reused"; readonly subject: string }
  | { readonly outcome: "unknown" };

/** How often the answer to one use is given again. */
export const MAX_REPLAYS = 100;

/**
 * Keeps families of refresh tokens, one entry each, and an epoch for each subject. Time is that of the store. Nothing
 * in it is a token, or makes one.
 */
export interface FamilyStore {
  /** The subject's epoch: 0, and one more with each {@link raiseEpoch}. */
  epoch(subject: string): Promise<number>;
  /** Stores a family, and ends the oldest ones that are too many, in one step. `false`: its epoch is over. */
  create(family: NewFamily): Promise<boolean>;
  /** The family; `undefined` where it has ended. */
  find(id: string): Promise<Family | undefined>;
  /** Those of a subject that go on, newest first. */
  list(subject: string): Promise<readonly ListedFamily[]>;
  /** Uses a token of it, in one step: of several uses at once one rotates. */
  rotate(id: string, use: Use): Promise<Rotation>;
  /** Ends a family. Does nothing where there is none. */
  remove(id: string): Promise<void>;
  /** Ends all families of a subject, those that are being stored included. */
  raiseEpoch(subject: string): Promise<void>;
}

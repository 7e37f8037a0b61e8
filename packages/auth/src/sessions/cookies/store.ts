/** A cookie session that is to be stored. */
export interface NewCookieSession {
  /** SHA-256 of the cookie's value: nothing that could be shown as a cookie. */
  readonly id: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** What the client calls itself, for the list of its user. */
  readonly userAgent: string;
  readonly idleMs: number;
  readonly absoluteMs: number;
  /** Most sessions of the subject; the oldest ones end. */
  readonly maxPerUser: number;
  /** The subject's epoch that the sign-in began in: in a later one nothing is stored. Default: the present one. */
  readonly epoch?: number | undefined;
  /** Id of the session that it takes the place of, which ends in the same step. */
  readonly replaces?: string | undefined;
}

/** A cookie session that goes on. */
export interface StoredCookieSession {
  readonly id: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly userAgent: string;
  /** When it began, in ms since 1970. */
  readonly beganAtMs: number;
  /** When it was last used, to a tenth of `idleMs`, in ms since 1970. */
  readonly usedAtMs: number;
  /** In how many ms it ends unless it is used. */
  readonly endsInMs: number;
  /** What the app keeps in it. */
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Keeps cookie sessions, one entry each, and an epoch for each subject. Time is that of the store. Every method is one
 * step: nothing that is done to a session that has ended brings it back.
 */
export interface CookieSessionStore {
  /** The subject's epoch: 0, and one more with each {@link raiseEpoch}. */
  epoch(subject: string): Promise<number>;
  /** Stores one, and ends the one that it replaces and the oldest ones that are too many. `false`: its epoch is over. */
  create(session: NewCookieSession): Promise<boolean>;
  /** The session; `undefined` where it has ended. */
  find(id: string): Promise<StoredCookieSession | undefined>;
  /** Lets it go on for `idleMs` from now, as far as its absolute end allows, where it goes on. */
  touch(id: string, idleMs: number): Promise<void>;
  /** Writes fields, each for itself; `null` takes one out. `false`, and nothing is written, where it has ended. */
  write(id: string, changes: Readonly<Record<string, string | null>>): Promise<boolean>;
  /** The sessions of a subject that go on, newest first. */
  list(subject: string): Promise<readonly StoredCookieSession[]>;
  /** Ends a session. Does nothing where there is none. */
  remove(id: string): Promise<void>;
  /** Ends all sessions of a subject, those that are being stored included. */
  raiseEpoch(subject: string): Promise<void>;
}

import type { Definition } from "@steward/core";

/** What says when sessions have ended: `authentication(...)` of `@steward/auth`, or your own. */
export interface SessionEnding {
  onEnded(listener: (ended: { readonly sessions: readonly string[] }) => void): () => void;
}

/** A resource that says it. */
export type EndingDefinition = Definition<SessionEnding, "application" | "process", string>;

const ENDING = Symbol.for("steward.server.ending");

/** Notes on what gives the keys of sessions what says when they end. */
export function withEnding<K extends object>(key: K, auth: EndingDefinition): K {
  return Object.assign(key, { [ENDING]: auth });
}

/** What says when the sessions of a key end, if there is such. */
export function endingOf(key: object | undefined): EndingDefinition | undefined {
  return (key as { [ENDING]?: EndingDefinition } | undefined)?.[ENDING]; // set by `withEnding` alone
}

import { channel } from "node:diagnostics_channel";

/** Names of the `node:diagnostics_channel` channels of this package. They cost nothing unheard. */
export const CRYPTO_CHANNELS = {
  /** A key was made, promoted, disabled and so on: {@link KeyEvent}. */
  key: "steward:crypto:key",
  /** A key was used: {@link KeyUseEvent}. */
  use: "steward:crypto:use",
} as const;

/** What was done to a key or keyset. */
export type KeyOperation =
  | "created"
  | "added"
  | "imported"
  | "promoted"
  | "disabled"
  | "enabled"
  | "destroyed"
  | "reserved"
  | "rewrapped"
  | "upgraded"
  | "loaded";

/** A key or keyset was changed, here or elsewhere (`loaded`). Never carries key material. */
export interface KeyEvent {
  /** Name of the crypto resource. */
  readonly resource: string;
  readonly keyset: string;
  readonly operation: KeyOperation;
  /** The key concerned; `undefined` where it is the keyset as a whole. */
  readonly keyId: number | undefined;
  readonly revision: number;
  /** When, in ms since 1970. */
  readonly atMs: number;
}

/** A key was used. Carries neither data nor associated data. */
export interface KeyUseEvent {
  /** Name of the crypto resource. */
  readonly resource: string;
  readonly keyset: string;
  readonly operation: "encrypt" | "decrypt" | "sign" | "verify";
  /** The key concerned; `undefined` where the message named none. */
  readonly keyId: number | undefined;
  /** Code of the error it ended with; `undefined` when it succeeded. */
  readonly code: string | undefined;
}

const keys = channel(CRYPTO_CHANNELS.key);
const uses = channel(CRYPTO_CHANNELS.use);

/** Reports what became of a key to those who listen. */
export function publishKey(event: KeyEvent): void {
  if (keys.hasSubscribers) keys.publish(event);
}

/** True when somebody listens to uses. */
export function usesAreHeard(): boolean {
  return uses.hasSubscribers;
}

/** Reports that a key was used to those who listen. */
export function publishUse(event: KeyUseEvent): void {
  if (uses.hasSubscribers) uses.publish(event);
}

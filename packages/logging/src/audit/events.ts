import {
  CHANNELS,
  type AuditEvent,
  type AuthEvent,
  type ConfigEvent,
  type KeyEvent,
  type KeyUseEvent,
} from "@steward/core";
import { subscribe, unsubscribe } from "node:diagnostics_channel";

interface Events {
  readonly auth: AuthEvent;
  readonly config: ConfigEvent;
  readonly key: KeyEvent;
  readonly keyUse: KeyUseEvent;
}

/** What can be recorded by itself, by the key of its channel in `CHANNELS`. */
export type Audited = keyof Events;

/** All of it. */
export const AUDITED: readonly Audited[] = ["auth", "config", "key", "keyUse"];

/** What is recorded where nothing else is said: uses of keys are many. */
export const USUALLY_AUDITED: readonly Audited[] = ["auth", "config", "key"];

const keyset = (resource: string, name: string): string => `keyset:${resource}/${name}`;

/** What is recorded of each; `undefined` for what is no act of anybody. */
const RECORDS: { readonly [K in Audited]: (event: Events[K]) => AuditEvent | undefined } = {
  auth: ({ resource, operation, subject, outcome, reason }) => ({
    action: `auth.${operation}`,
    actor: subject,
    target: `auth:${resource}`,
    outcome,
    reason,
  }),
  config: ({ resource, kind, generation, changes, message }) =>
    kind === "warning"
      ? undefined
      : {
          action: `config.${kind}`,
          target: `config:${resource}`,
          outcome: kind === "changed" ? "success" : "failure",
          reason: kind === "changed" ? undefined : message,
          detail: { generation, changes },
        },
  key: ({ resource, keyset: name, operation, keyId, revision }) =>
    operation === "loaded"
      ? undefined
      : {
          action: `key.${operation}`,
          target: keyset(resource, name),
          outcome: "success",
          detail: { keyId, revision },
        },
  keyUse: ({ resource, keyset: name, operation, keyId, code }) => ({
    action: `key.${operation}`,
    target: keyset(resource, name),
    outcome: code === undefined ? "success" : "failure",
    reason: code,
    detail: { keyId },
  }),
};

/** Hears of events, and hands on what is to be recorded of them. */
export class AuditedEvents {
  readonly #kinds: readonly Audited[];
  readonly #record: (recorded: AuditEvent) => void;
  readonly #heard = new Map<Audited, (event: unknown) => void>();

  constructor(kinds: readonly Audited[], record: (recorded: AuditEvent) => void) {
    this.#kinds = kinds;
    this.#record = record;
  }

  open(): void {
    for (const kind of this.#kinds) if (!this.#heard.has(kind)) this.#hear(kind);
  }

  close(): void {
    for (const [kind, listener] of this.#heard) unsubscribe(CHANNELS[kind], listener);
    this.#heard.clear();
  }

  #hear<K extends Audited>(kind: K): void {
    const listener = (event: unknown): void => {
      const recorded = RECORDS[kind](event as Events[K]); // what core publishes there
      if (recorded !== undefined) this.#record(recorded);
    };
    this.#heard.set(kind, listener);
    subscribe(CHANNELS[kind], listener);
  }
}

import type { SqlRunner } from "@steward/core";
import type { AuditDraft, AuditHead, Link, StoredEntry } from "../chain/entry.ts";

/** Makes the entry that says up to where a chain was trimmed. */
export type TrimNote = (through: AuditHead) => AuditDraft;

/** Where the entries of an audit log are kept. */
export interface AuditSink {
  /** What it is, in stats: `sql`, `file`, `log`. */
  readonly kind: string;
  /** Gets it ready. Called at each start. */
  open(): Promise<void>;
  /**
   * Puts events at the end of a chain, all or none. Resolves when they are stored; with `within`, when the open
   * transaction of the caller holds them.
   */
  append(drafts: readonly AuditDraft[], link: Link, within?: SqlRunner): Promise<void>;
  /** All entries, one chain after the other, each in order. Absent where they cannot be read back. */
  entries?(): AsyncIterable<StoredEntry>;
  /** Where its chains end, from where no one changes it together with the entries by accident. */
  ends?(): Promise<readonly AuditHead[]>;
  /** Removes entries from before an instant, oldest first, after `note` has said so in their chain. Resolves with their number. */
  trim?(beforeMs: number, note: TrimNote, link: Link): Promise<number>;
  /** Lets go of what `open` took. */
  close?(): Promise<void>;
}

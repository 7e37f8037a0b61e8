import { createHash, randomBytes } from "node:crypto";
import type { AuditEvent } from "@steward/core";
import { canonical } from "./canonical.ts";

/** An event with what the log adds, before it has a place in a chain. */
export interface AuditDraft extends Omit<AuditEvent, "ip"> {
  /** UUID of version 7 (RFC 9562). */
  readonly id: string;
  /** When it was recorded, in ms since 1970, by the clock of the instance. */
  readonly time: number;
  /** The process that recorded it. */
  readonly instance: string;
  readonly requestId?: string | undefined;
  readonly traceId?: string | undefined;
  /** The network that it came from: the first 24 bits of an address of IPv4, 48 of IPv6. */
  readonly network?: string | undefined;
}

/** An event in its place, as it is hashed. */
export interface AuditEntry extends AuditDraft {
  readonly chain: string;
  /** Place in its chain, from 1 on, without holes. */
  readonly seq: number;
  /** Hash of the entry before; 64 zeros for the first one. */
  readonly prev: string;
}

/** The last entry of a chain. */
export interface AuditHead {
  readonly chain: string;
  /** 0 for a chain without entries. */
  readonly seq: number;
  readonly hash: string;
}

/** An entry as a sink keeps it. */
export interface StoredEntry extends AuditHead {
  /** The entry as canonical JSON. */
  readonly text: string;
  /** What a key says of its hash, in base64; `undefined` where the log has no key. */
  readonly seal: string | undefined;
}

/** Gives an event its place after the last entry of a chain. */
export type Link = (draft: AuditDraft, after: AuditHead) => Promise<StoredEntry>;

/** Keeps a secret that those who can write the log do not have. Keysets of MACs and of signatures are such. */
export interface AuditSeal {
  /** A MAC or a signature of the message. */
  sign(message: string): Promise<Uint8Array>;
  /** Whether it is of that message. */
  isValid(message: string, signature: Uint8Array): Promise<boolean>;
}

const NO_HASH = "0".repeat(64);

/** The place before the first entry of a chain. */
export function emptyChain(chain: string): AuditHead {
  return { chain, seq: 0, hash: NO_HASH };
}

/** SHA-256 of the canonical JSON of an entry, in hex. */
export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Puts events into chains, under a seal where there is one. */
export function linker(seal: AuditSeal | undefined): Link {
  return async (draft, { chain, seq, hash: prev }) => {
    const entry: AuditEntry = { ...draft, chain, seq: seq + 1, prev };
    const text = canonical(entry);
    const hash = hashOf(text);
    const signature = seal === undefined ? undefined : Buffer.from(await seal.sign(hash)).toString("base64");
    return { chain, seq: entry.seq, hash, text, seal: signature };
  };
}

/** Links several events one after the other. */
export async function linkAll(
  drafts: readonly AuditDraft[],
  after: AuditHead,
  link: Link,
): Promise<readonly StoredEntry[]> {
  const linked: StoredEntry[] = [];
  for (const draft of drafts) linked.push(await link(draft, linked.at(-1) ?? after));
  return linked;
}

/** A UUID of version 7: ids of later events are greater. */
export function timeId(now: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

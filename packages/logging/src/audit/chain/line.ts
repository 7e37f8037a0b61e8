import { canonical } from "./canonical.ts";
import type { AuditEntry, StoredEntry } from "./entry.ts";

/** An entry as one line of JSON, its end included: the entry as it was hashed, its hash and its seal. */
export function lineOf({ text, hash, seal }: StoredEntry): string {
  const sealed = seal === undefined ? "" : `,"seal":${JSON.stringify(seal)}`;
  return `{"event":"audit","hash":"${hash}"${sealed},"entry":${text}}\n`;
}

/** The entry of a line that {@link lineOf} made, also where a log has added to it; `undefined` when it is none. */
export function readAuditLine(line: string): StoredEntry | undefined {
  try {
    const { entry, hash, seal } = JSON.parse(line) as Partial<StoredEntry> & { readonly entry?: AuditEntry };
    if (typeof entry !== "object" || entry === null) return undefined;
    const { chain, seq } = entry;
    return { chain: String(chain), seq: Number(seq), hash: String(hash), seal, text: canonical(entry) };
  } catch {
    return undefined;
  }
}

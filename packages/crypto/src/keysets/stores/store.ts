/** Largest keyset that is read, in bytes: room for a thousand RSA keys. */
export const MAX_BLOB_BYTES: number = 8 * 1024 * 1024;

/** A keyset in a store: opaque bytes, and the revision they are bound to. */
export interface StoredKeyset {
  /** Counts from 1. */
  readonly revision: number;
  readonly blob: Uint8Array;
}

/** Where keysets are kept. Bytes come wrapped, so a store has no secrets to keep but must not lose them. */
export interface KeyStore {
  /** What it is, for errors and stats. */
  readonly kind: string;
  /** True when others cannot reach it, so that what it holds need not be wrapped. */
  readonly private?: boolean;
  load(name: string): Promise<StoredKeyset | undefined>;
  /** Writes `next` if the revision there is still `expected` (0: nothing is there), in one step. Returns whether it did. */
  compareAndSet(name: string, expected: number, next: StoredKeyset): Promise<boolean>;
  /** Calls `listener` with the name of a keyset that others changed. Optional: instances also look by themselves. */
  watch?(listener: (name: string) => void): Promise<() => Promise<void>>;
}

/** Keeps keysets in this process. They end with it, unless the store is handed on. */
export function memoryStore(): KeyStore {
  const kept = new Map<string, StoredKeyset>();
  const listeners = new Set<(name: string) => void>();
  return {
    kind: "memory",
    private: true,
    load: async (name) => kept.get(name),
    async compareAndSet(name, expected, next) {
      if ((kept.get(name)?.revision ?? 0) !== expected) return false;
      kept.set(name, { revision: next.revision, blob: Uint8Array.from(next.blob) });
      for (const listener of listeners) listener(name);
      return true;
    },
    async watch(listener) {
      listeners.add(listener);
      return async () => void listeners.delete(listener);
    },
  };
}

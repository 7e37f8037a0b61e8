/** How a transaction sees and is seen by others. What is left out is the server's default. */
export interface TransactionSettings {
  readonly isolationLevel?: "read committed" | "repeatable read" | "serializable" | undefined;
  readonly accessMode?: "read only" | "read write" | undefined;
  /** With `serializable` and `read only`: waits for a snapshot that cannot fail. */
  readonly deferrable?: boolean | undefined;
}

/** The statement that begins a transaction with these settings. */
export function beginStatement({ isolationLevel, accessMode, deferrable }: TransactionSettings): string {
  const parts = ["begin"];
  if (isolationLevel !== undefined) parts.push(`isolation level ${isolationLevel}`);
  if (accessMode !== undefined) parts.push(accessMode);
  if (deferrable !== undefined) parts.push(deferrable ? "deferrable" : "not deferrable");
  return parts.join(" ");
}

/** How a transaction sees and is seen by others. What is left out is the server's default. */
export interface TransactionSettings {
  readonly isolationLevel?: "read committed" | "repeatable read" | "serializable" | undefined;
  readonly accessMode?: "read only" | "read write" | undefined;
  /** With `serializable` and `read only`: waits for a snapshot that cannot fail. */
  readonly deferrable?: boolean | undefined;
  /**
   * Settings of the server for this transaction alone, such as `{ "app.tenant": tenant }` for the policies of row level security,
   * which read them by `current_setting('app.tenant')`. They end with it, so a pooler between is no harm.
   */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** The statement that begins a transaction with these settings. */
export function beginStatement({ isolationLevel, accessMode, deferrable }: TransactionSettings): string {
  const parts = ["begin"];
  if (isolationLevel !== undefined) parts.push(`isolation level ${isolationLevel}`);
  if (accessMode !== undefined) parts.push(accessMode);
  if (deferrable !== undefined) parts.push(deferrable ? "deferrable" : "not deferrable");
  return parts.join(" ");
}

/** The statement that makes the settings of a transaction; `undefined` when it has none. */
export function settingsStatement({ settings = {} }: TransactionSettings): string | undefined {
  const calls = Object.entries(settings).map(
    ([name, value]) => `set_config(${literal(name)}, ${literal(value)}, true)`,
  );
  return calls.length === 0 ? undefined : `select ${calls.join(", ")}`;
}

/** Text in a statement, whatever `standard_conforming_strings` is. */
function literal(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

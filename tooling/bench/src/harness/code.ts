import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { output, root } from "./process.ts";

/** Which code was measured. */
export interface Code {
  readonly commit: string;
  /** Of the modules that were loaded: it differs when somebody builds while we measure. */
  readonly hash: string;
}

/** The code as it is now. */
export async function codeNow(): Promise<Code> {
  const hash = createHash("sha256");
  for (const name of ["@steward/core", "@steward/container"])
    hash.update(readFileSync(fileURLToPath(import.meta.resolve(name))));
  const commit = await output("git", ["-c", "safe.directory=*", "describe", "--always", "--dirty"], root).catch(
    () => "unknown",
  );
  return { commit: commit.trim(), hash: hash.digest("hex").slice(0, 12) };
}

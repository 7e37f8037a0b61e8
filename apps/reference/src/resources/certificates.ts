import { readFile } from "node:fs/promises";
import type { CertificateFiles } from "../settings.ts";

/** Read when connections are made, so that a file may be replaced meanwhile. */
export async function certificates(
  files: CertificateFiles,
): Promise<Record<"ca" | "cert" | "key", string | undefined>> {
  const read = async (file: string | undefined) => file && readFile(file, "utf8");
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map(read));
  return { ca, cert, key };
}

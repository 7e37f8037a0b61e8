import { isLoopback } from "@steward/core/driver";

const CREDENTIALS = new Set(["authorization", "proxy-authorization"]);

/** The credentials that a handshake would carry to another machine in plain text: a header, or those of the URL. */
export function overheard(url: string, headers: Readonly<Record<string, unknown>> = {}): string | undefined {
  const { protocol, hostname, username, password } = new URL(url);
  if (protocol !== "ws:" || isLoopback(hostname)) return undefined;
  if (username !== "" || password !== "") return "the user and password of the URL";
  return Object.keys(headers).find((name) => CREDENTIALS.has(name.toLowerCase()));
}

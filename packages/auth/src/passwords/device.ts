import { randomBytes } from "node:crypto";
import type { TokenMac } from "../sessions/refresh/token.ts";

const DEVICE = /^dv_([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{22,200})$/;

/** A new mark of a device on which somebody has signed in with that name. It allows nothing but attempts of its own. */
export async function markDevice(mac: TokenMac, issuer: string, login: string): Promise<string> {
  const id = randomBytes(16).toString("base64url");
  const tag = await mac.sign(messageOf(issuer, id, login));
  return `dv_${id}.${Buffer.from(tag).toString("base64url")}`;
}

/** Id of the device, where the mark is one of ours and for that name; else `undefined`. */
export async function knownDevice(
  mac: TokenMac,
  issuer: string,
  login: string,
  mark: string | undefined,
): Promise<string | undefined> {
  const found = mark !== undefined && mark.length <= 300 ? DEVICE.exec(mark) : null;
  if (found === null) return undefined;
  const [, id = "", tag = ""] = found;
  return (await mac.isValid(messageOf(issuer, id, login), Buffer.from(tag, "base64url"))) ? id : undefined;
}

/** The name comes last: whatever is in it, two messages are never the same text. */
function messageOf(issuer: string, id: string, login: string): string {
  return `steward known device\n${id}\n${issuer}\n${login}`;
}

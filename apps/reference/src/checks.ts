import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createSecureContext } from "node:tls";

// Whether settings are right, as far as it can be known before anything is started.

const KEK_BYTES = 32;

/** A key in base64, written the one right way. */
export function isKek(text: string): boolean {
  const key = Buffer.from(text, "base64");
  return key.length === KEK_BYTES && key.toString("base64") === text;
}

/** Such as `https://api.example.com`. */
export function isOrigin(text: string): boolean {
  return (
    URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text.replace(/\/$/, "")
  );
}

/** An address, or a network such as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = "", bits] = text.split("/");
  const version = isIP(address);
  return version !== 0 && (bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)));
}

/** A file in PEM, of certificates or a key. */
export function isPem(path: string): boolean {
  return works(() => readFileSync(path, "utf8")) && readFileSync(path, "utf8").includes("-----BEGIN ");
}

/** A file in PEM that begins with a certificate. */
export function isCertificate(path: string): boolean {
  return works(() => new X509Certificate(readFileSync(path)));
}

/** Whether the key is that of the certificate. */
export function isPair(cert: string, key: string): boolean {
  return works(() => createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) }));
}

/** An address or the name of this machine, where it may listen. */
export function isOwnHost(host: string): boolean {
  if (isIP(host) === 0) return host === "localhost" || host === hostname();
  const own = new BlockList();
  own.addSubnet("127.0.0.0", 8);
  own.addAddress("0.0.0.0");
  own.addAddress("::", "ipv6");
  for (const { address, family } of Object.values(networkInterfaces()).flatMap((found) => found ?? []))
    own.addAddress(address, family === "IPv4" ? "ipv4" : "ipv6");
  const [address = ""] = host.split("%"); // what follows names a network card
  return own.check(address, isIP(host) === 4 ? "ipv4" : "ipv6");
}

/** A folder that can be written to, or made. Permissions alone do not say so to root. */
export function isWritable(path: string): boolean {
  let existing = resolve(path);
  while (!existsSync(existing)) existing = dirname(existing);
  return works(() => rmdirSync(mkdtempSync(join(existing, ".clips-"))));
}

function works(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}

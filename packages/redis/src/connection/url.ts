/** What a URL of Redis says; `undefined` where it does not say. */
export interface RedisUrl {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number | undefined;
}

const FORM = /^(rediss?):\/\/(?:([^/?#]*)@)?(?:\[([0-9a-f:.%]+)\]|([^:@/?#[\]]+))(?::(\d{1,5}))?(?:\/(\d*))?$/i;

/**
 * Reads `redis://user:password@host:port/db` or `rediss://...`; `undefined` for anything else. Node's own parser keeps
 * what it was given in its errors, password included.
 */
export function parseRedisUrl(text: string): RedisUrl | undefined {
  const [, scheme = "", account = "", v6, name = "", port, db = ""] = FORM.exec(text) ?? [];
  const number = port === undefined ? undefined : Number(port);
  if (scheme === "" || (number !== undefined && (number < 1 || number > 65_535))) return undefined;
  const colon = account.indexOf(":");
  try {
    return {
      tls: scheme.toLowerCase() === "rediss",
      host: v6 ?? decodeURIComponent(name),
      port: number,
      username: filled(colon < 0 ? account : account.slice(0, colon)),
      password: colon < 0 ? undefined : filled(account.slice(colon + 1)),
      db: db === "" ? undefined : Number(db),
    };
  } catch {
    return undefined; // a % that begins no percent-encoding
  }
}

function filled(text: string): string | undefined {
  return text === "" ? undefined : decodeURIComponent(text);
}

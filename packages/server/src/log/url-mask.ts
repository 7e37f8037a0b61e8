/** Query parameters that carry secrets. */
export const SECRET_PARAMETERS: readonly string[] = [
  "access_token",
  "api_key",
  "apikey",
  "auth",
  "code",
  "key",
  "password",
  "secret",
  "sig",
  "signature",
  "token",
];

/** Makes what masks the secret query values of a URL. @param redact Names of parameters, in any case. */
export function urlMask(redact: readonly string[]): (url: string) => string {
  const secret = new Set(redact.map((name) => name.toLowerCase()));
  const hint = new RegExp(["%", ...redact.map((name) => name.replaceAll(/\W/g, "."))].join("|"), "i"); // most URLs hold none
  return (url) => withoutSecrets(url, secret, hint);
}

function withoutSecrets(url: string, secret: ReadonlySet<string>, hint: RegExp): string {
  const at = url.indexOf("?");
  if (at < 0 || !hint.test(url)) return url;
  const masked = url
    .slice(at + 1)
    .split("&")
    .map((pair) => {
      const [name = ""] = pair.split("=", 1);
      return secret.has(decoded(name).toLowerCase()) ? `${name}=***` : pair;
    });
  return `${url.slice(0, at)}?${masked.join("&")}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

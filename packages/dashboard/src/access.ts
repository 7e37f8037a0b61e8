import type { IncomingMessage } from "node:http";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { bearerCheck, isHostAmong, isLoopback } from "@steward/core/driver";
import type { DashboardCode } from "./errors.ts";

/** Why a request is refused. */
export interface Refusal {
  readonly status: 401 | 403 | 421;
  readonly code: DashboardCode;
  readonly error: string;
}

/** Who may read: a name of ours, its own page, and the token or the cookie that it is traded for. */
export class Access {
  /** The token; `undefined` where none is asked for. */
  readonly token: string | undefined;
  /** Names the cookie by the token, as cookies of several processes on one host share a jar. */
  readonly #cookieName: string;
  readonly #cookieValue: string;
  readonly #hosts: readonly string[];
  readonly #hasBearer: (authorization: unknown) => boolean;

  constructor(token: string | false | undefined, hosts: readonly string[]) {
    this.token = token === false ? undefined : (token ?? randomBytes(24).toString("base64url"));
    this.#hosts = hosts;
    this.#cookieName = `steward-${digest(`name ${this.token ?? ""}`)
      .toString("hex")
      .slice(0, 12)}`;
    this.#cookieValue = digest(`value ${this.token ?? ""}`).toString("hex");
    this.#hasBearer = this.token === undefined ? () => false : bearerCheck(this.token);
  }

  /** Why the request gets nothing; `undefined` where it may read. */
  refusal(request: IncomingMessage): Refusal | undefined {
    const { host, origin } = request.headers;
    if (!isHostAmong(host, this.#hosts)) {
      const error = `host ${JSON.stringify(host)} is not served here; add it to the option hosts`;
      return { status: 421, code: "DASHBOARD_HOST_UNKNOWN", error };
    }
    if (origin !== undefined && hostOf(origin) !== host?.toLowerCase())
      return { status: 403, code: "DASHBOARD_ORIGIN_REFUSED", error: "only its own page may ask" };
    if (this.#isAllowed(request)) return undefined;
    const error =
      this.token === undefined
        ? "without a token only this machine is answered; set the option token"
        : "this needs the token: open the link that was printed at start, or send authorization: Bearer <token>";
    return { status: 401, code: "DASHBOARD_TOKEN_REQUIRED", error };
  }

  /** Whether the token stands in the address, where it is traded for a cookie. */
  isOffered(offered: string): boolean {
    return this.token !== undefined && timingSafeEqual(digest(offered), digest(this.token));
  }

  /** The cookie that stands for the token below a path. */
  cookie(path: string, isEncrypted: boolean): string {
    const secure = isEncrypted ? "; Secure" : "";
    return `${this.#cookieName}=${this.#cookieValue}; Path=${path}; HttpOnly; SameSite=Strict${secure}`;
  }

  #isAllowed({ headers, socket }: IncomingMessage): boolean {
    if (this.token === undefined) return isLoopback(socket.remoteAddress ?? "");
    return this.#hasBearer(headers.authorization) || this.#hasCookie(headers.cookie);
  }

  #hasCookie(header: string | undefined): boolean {
    return (header ?? "").split(";").some((pair) => {
      const [name, value = ""] = pair.trim().split("=");
      return name === this.#cookieName && timingSafeEqual(digest(value), digest(this.#cookieValue));
    });
  }
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** What can be sent: text as a string, binary as bytes. */
export type Payload = string | Uint8Array;

/** What the other side says when a call fails. */
export interface RemoteFailure {
  readonly code: string;
  readonly message: string;
  /** True when the same call may succeed later. */
  readonly retryable?: boolean | undefined;
}

/** A message that belongs to a call. */
export type Reply =
  | { readonly id: number; readonly kind: "ack" }
  | { readonly id: number; readonly kind: "value"; readonly value: unknown }
  | { readonly id: number; readonly kind: "failure"; readonly failure: RemoteFailure };

/** How calls and their replies are written. Give your own where the server is not a hub of this package. */
export interface CallProtocol {
  /** Writes a call. `id` is a positive integer, unique for the connection; the reply has to carry it. */
  readonly encode: (id: number, body: unknown) => Payload;
  /** Reads a reply; `undefined` when the message belongs to no call. */
  readonly decode: (data: Buffer, isBinary: boolean) => Reply | undefined;
}

/** True when a text message begins with `{"` and `word`. Cheap enough to ask of every message. */
export function beginsWith(data: Buffer, word: string): boolean {
  if (data[0] !== 0x7b || data[1] !== 0x22 || data.length < word.length + 3) return false;
  for (let i = 0; i < word.length; i++) if (data[i + 2] !== word.charCodeAt(i)) return false;
  return data[word.length + 2] === 0x22;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** A JSON object, or `undefined` for anything else. */
export function parseObject(data: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(data.toString());
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** JSON of a value; `null` for what JSON cannot say. */
export function json(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

function failureOf(given: unknown): RemoteFailure {
  const { code, message, retryable } = { ...(given as Partial<RemoteFailure>) }; // checked field by field below
  return {
    code: typeof code === "string" ? code : "UNKNOWN",
    message: typeof message === "string" ? message : "no message",
    retryable: retryable === true,
  };
}

/** What hubs speak: `{"id":1,"call":...}`, answered by `{"id":1,"ok":...}`, `{"id":1,"error":...}` or, first, `{"id":1,"ack":true}`. */
export const jsonCalls: CallProtocol = {
  encode: (id, body) => `{"id":${id},"call":${json(body)}}`,
  decode(data, isBinary) {
    if (isBinary || !beginsWith(data, "id")) return undefined;
    const parsed = parseObject(data);
    const id = parsed?.["id"];
    if (parsed === undefined || typeof id !== "number") return undefined;
    if ("ok" in parsed) return { id, kind: "value", value: parsed["ok"] };
    if ("error" in parsed) return { id, kind: "failure", failure: failureOf(parsed["error"]) };
    return parsed["ack"] === true ? { id, kind: "ack" } : undefined;
  },
};

import { randomFillSync } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { systemClock } from "@steward/core";

const ROOM = 512;
const BYTES = 10;
const pool = Buffer.allocUnsafe(ROOM * BYTES);
let next = ROOM;
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A UUID of version 7: ids that were made later sort later. Randomness is drawn for 512 ids at a time. */
export function uuid7(now: number = systemClock.wallNow()): string {
  if (next === ROOM) {
    randomFillSync(pool);
    next = 0;
  }
  const at = next++ * BYTES;
  const byte = (i: number): string => hex[pool[at + i] ?? 0] ?? "";
  const time = now.toString(16).padStart(12, "0");
  const version = hex[0x70 | ((pool[at] ?? 0) & 0x0f)] ?? "";
  const variant = hex[0x80 | ((pool[at + 2] ?? 0) & 0x3f)] ?? "";
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}${byte(1)}-${variant}${byte(3)}-${byte(4)}${byte(5)}${byte(6)}${byte(7)}${byte(8)}${byte(9)}`;
}

const FORM = /^[\w.:-]{1,128}$/;

/** Gives requests the id that came with them, where it is one that may stand in a log, or a new one. */
export function requestIdFrom(header: string): (incoming: { readonly headers: IncomingMessage["headers"] }) => string {
  return ({ headers }) => {
    const given = headers[header];
    return typeof given === "string" && FORM.test(given) ? given : uuid7();
  };
}

import * as ws from "ws";
import { json } from "../wire/protocol.ts";

interface FrameOptions {
  readonly fin: boolean;
  readonly opcode: number;
  readonly mask: boolean;
  readonly readOnly: boolean;
  readonly rsv1: boolean;
}

// `ws` exports it, its types do not.
const { Sender } = ws as unknown as { Sender: { frame(data: Buffer, options: FrameOptions): Buffer[] } };

const TEXT = 1;
const BINARY = 2;
const PING = 9;

function frame(data: Buffer, opcode: number): Buffer {
  return Buffer.concat(Sender.frame(data, { fin: true, opcode, mask: false, readOnly: true, rsv1: false }));
}

/** A whole message as it goes over the wire, made once for however many sockets. */
export function prepared(data: string | Uint8Array): Buffer {
  return typeof data === "string"
    ? frame(Buffer.from(data), TEXT)
    : frame(Buffer.from(data.buffer, data.byteOffset, data.byteLength), BINARY);
}

/** A ping without a payload. */
export const PING_FRAME: Buffer = frame(Buffer.alloc(0), PING);

/** Says that messages of a room are lost. */
export function gapFrame(room: string): Buffer {
  return prepared(`{"gap":${json(room)}}`);
}

import { bytesOf, countOf, dataFrom, elementBytes, isText, type Tensor, type TensorData } from "../engine/tensor.ts";
import { WireProblem, type WireHead } from "./datatypes.ts";

/** In front of each text stands its length in bytes, as 32 bits, the lowest first. */
const LENGTH_BYTES = 4;

/** Elements as the bytes that travel: numbers as they lie in memory, the lowest byte first; texts with their lengths. */
export function rawOf({ data }: Tensor): Uint8Array {
  if (!isText(data)) return bytesOf(data);
  const parts = data.flatMap((text) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(bytes.byteLength);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

/**
 * A tensor of bytes that came, in memory of its own. Nothing is reserved before their number is known to be right.
 *
 * @throws {WireProblem} when they are not what its type and shape say.
 */
export function fromRaw({ name, type, shape }: WireHead, bytes: Uint8Array): Tensor {
  const count = countOf(shape);
  if (type === "string") return { type, shape, data: textsOf(name, bytes, count) };
  const wanted = count * elementBytes(type);
  if (bytes.byteLength !== wanted)
    throw new WireProblem(`"${name}": a shape of ${shape.join("x")} has ${wanted} bytes, and ${bytes.byteLength} came`);
  if (type === "bool" && bytes.some((byte) => byte > 1)) throw new WireProblem(`"${name}": a byte of BOOL is 0 or 1`);
  return { type, shape, data: dataFrom(type, new Uint8Array(bytes).buffer) };
}

function textsOf(name: string, bytes: Uint8Array, count: number): TensorData {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const left = bytes.byteLength - at - LENGTH_BYTES;
    const length = left < 0 ? Number.POSITIVE_INFINITY : view.getUint32(at, true);
    if (length > left) throw new WireProblem(`"${name}": element ${texts.length} is cut short`);
    at += LENGTH_BYTES + length;
    texts.push(textOf(name, texts.length, bytes.subarray(at - length, at)));
    if (texts.length > count) break;
  }
  if (texts.length === count) return texts;
  throw new WireProblem(
    `"${name}": its shape has ${count} elements, and ${texts.length > count ? "more" : texts.length} came`,
  );
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws {WireProblem} where bytes are no text: what else BYTES may hold is not supported. */
export function textOf(name: string, at: number, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WireProblem(`"${name}": element ${at} is no text in UTF-8, which is all that is supported of BYTES`);
  }
}

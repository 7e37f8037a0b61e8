import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "@steward/core/driver";
import { trainingError } from "../errors.ts";
import { writeWhole } from "./files.ts";

/** What a checkpoint holds. */
export interface Checkpoint {
  /** Steps that are behind it. */
  readonly step: number;
  /** Rows of numbers by name. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** What else has to be known to go on. */
  readonly facts: Readonly<Record<string, string>>;
}

const NAME = /^step-(\d{12})\.safetensors$/;
const UNFINISHED = /^\.\d+-[a-z\d]+\.tmp$/;
const HEADER_BYTES = 8;
const MOST_HEADER_BYTES = 64 * 1024 * 1024;

/**
 * Checkpoints in a folder, as safetensors: written whole or not at all, the newest few kept, and of those that a fault of
 * the disk has spoilt none is taken for a sound one.
 */
export class CheckpointFolder {
  readonly #folder: string;
  readonly #keep: number;

  constructor(folder: string, keep: number) {
    this.#folder = folder;
    this.#keep = keep;
  }

  /** @throws {TRAINING_CHECKPOINT_INVALID} when it cannot be written. */
  async save(checkpoint: Checkpoint): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
      const name = `step-${String(checkpoint.step).padStart(12, "0")}.safetensors`;
      await writeWhole(join(this.#folder, name), encoded(checkpoint));
      const all = await readdir(this.#folder);
      // Newer ones were passed over as spoilt: if they counted as kept, a sound one would go for each.
      const kept = newestFirst(all.filter((each) => each <= name)).slice(0, this.#keep);
      const old = all.filter((each) => UNFINISHED.test(each) || (NAME.test(each) && !kept.includes(each)));
      await Promise.all(old.map((each) => rm(join(this.#folder, each), { force: true })));
    } catch (cause) {
      const message = `a checkpoint could not be written in ${this.#folder}: ${describeError(cause)}`;
      throw trainingError("TRAINING_CHECKPOINT_INVALID", message, { cause });
    }
  }

  /**
   * The newest that is sound; `undefined` where there is none at all.
   * @throws {TRAINING_CHECKPOINT_INVALID} when there are some, and none of them is sound.
   */
  async latest(): Promise<Checkpoint | undefined> {
    const names = await this.#names();
    let cause: unknown;
    for (const name of names) {
      try {
        return decoded(await readFile(join(this.#folder, name)));
      } catch (error) {
        cause = error;
      }
    }
    if (names.length === 0) return undefined;
    const message = `none of ${names.length} checkpoints in ${this.#folder} can be read: ${describeError(cause)}`;
    throw trainingError("TRAINING_CHECKPOINT_INVALID", message, { cause });
  }

  /** Newest first. */
  async #names(): Promise<string[]> {
    const all = await readdir(this.#folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return [];
      const message = `the folder of checkpoints cannot be read: ${describeError(cause)}`;
      throw trainingError("TRAINING_CHECKPOINT_INVALID", message, { cause });
    });
    return newestFirst(all);
  }
}

function newestFirst(names: readonly string[]): string[] {
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .reverse();
}

function bytesOf(array: Float32Array): Uint8Array {
  // Numbers may lie in shared memory, which hashes and files do not take.
  return new Uint8Array(Float32Array.from(array).buffer);
}

function encoded({ step, arrays, facts }: Checkpoint): Uint8Array[] {
  let offset = 0;
  const bodies: Uint8Array[] = [];
  const entries: Record<string, unknown> = {};
  for (const [name, array] of Object.entries(arrays)) {
    const bytes = bytesOf(array);
    entries[name] = { dtype: "F32", shape: [array.length], data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    bodies.push(bytes);
  }
  const metadata = { ...facts, step: String(step) };
  const sha256 = hashOf(metadata, entries, bodies);
  const text = JSON.stringify({ __metadata__: { ...metadata, sha256 }, ...entries });
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8), "utf8");
  const length = Buffer.alloc(HEADER_BYTES);
  length.writeBigUInt64LE(BigInt(header.length));
  return [length, header, ...bodies];
}

/** Of all that is in a file. */
function hashOf(metadata: object, entries: object, bodies: readonly Uint8Array[]): string {
  const hash = createHash("sha256").update(JSON.stringify([metadata, entries]));
  for (const body of bodies) hash.update(body);
  return hash.digest("hex");
}

interface Entry {
  readonly dtype: string;
  readonly data_offsets: readonly [number, number];
}

function decoded(file: Buffer): Checkpoint {
  const length = file.length < HEADER_BYTES ? Number.NaN : Number(file.readBigUInt64LE());
  if (!(length <= Math.min(MOST_HEADER_BYTES, file.length - HEADER_BYTES))) throw new Error("the header is cut off");
  const header: unknown = JSON.parse(file.toString("utf8", HEADER_BYTES, HEADER_BYTES + length));
  const { __metadata__: metadata, ...entries } = header as { __metadata__: Record<string, string> } & Record<
    string,
    Entry
  >; // its hash is checked
  const { sha256, ...facts } = metadata;
  const body = file.subarray(HEADER_BYTES + length);
  if (hashOf(facts, entries, [body]) !== sha256) throw new Error("it is damaged");
  const arrays = Object.entries(entries).map(
    ([
      name,
      {
        data_offsets: [from, to],
      },
    ]) => [name, new Float32Array(Uint8Array.from(body.subarray(from, to)).buffer)],
  );
  return { step: Number(facts["step"]), facts, arrays: Object.fromEntries(arrays) as Checkpoint["arrays"] };
}

import { parentPort, workerData } from "node:worker_threads";
import { isStewardError } from "@steward/core";
import { readPkcs12, type KeyBundle, type Pkcs12Limits } from "./pkcs12-reader.ts";

/** What the thread is given. */
export interface Pkcs12Task {
  readonly file: Uint8Array;
  readonly passphrase: string;
  readonly limits: Pkcs12Limits;
}

/** What it answers: the bundle, or why there is none. */
export type Pkcs12Answer = { readonly bundle: KeyBundle } | { readonly problem: string };

function answer({ file, passphrase, limits }: Pkcs12Task): Pkcs12Answer {
  try {
    return { bundle: readPkcs12(file, passphrase, limits) };
  } catch (error) {
    return { problem: isStewardError(error) ? error.message : "not such a file" };
  }
}

// `importPkcs12` starts the thread with a task.
parentPort?.postMessage(answer(workerData as Pkcs12Task), []);

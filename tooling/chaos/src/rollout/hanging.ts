import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Jitter } from "../rate.ts";
import { Program } from "./replica.ts";

/** A shutdown that never would end, and how it ended. */
export interface Hung {
  readonly what: string;
  readonly exitMs: number;
  readonly code: number | null;
  /** Whether it named the resource that hung. */
  readonly named: boolean;
  /** From a second signal to the end, in ms, of another process of the kind. */
  readonly secondSignalMs: number;
  /** Of the machine meanwhile. */
  readonly jitterMs: number;
}

const KINDS = [
  { how: "one", what: "one stop never ends", culprits: /"uploads"/ },
  { how: "patient", what: "it never ends and its own limit is an hour", culprits: /"uploads"/ },
  {
    how: "chain",
    what: "four stops and three drains never end, one above the other",
    culprits: /"(?:uploads|second|third|fourth)"/,
  },
] as const;

/** Ends services whose cleanup hangs, with the settings of production. */
export function endHanging(): Promise<Hung[]> {
  return Promise.all(KINDS.map((kind) => endOne(kind)));
}

async function endOne({ how, what, culprits }: (typeof KINDS)[number]): Promise<Hung> {
  using jitter = new Jitter(100);
  await using program = await started(how);
  const exitMs = await program.endAfter("SIGTERM");
  await using other = await started(how);
  other.kill("SIGTERM");
  await sleep(1_000);
  return {
    what,
    exitMs,
    code: (await program.ended).code,
    named: culprits.test(program.said),
    secondSignalMs: await other.endAfter("SIGINT"),
    jitterMs: jitter.ms,
  };
}

async function started(how: string): Promise<Program> {
  const program = new Program(
    join(import.meta.dirname, "hanging-program.js"),
    { KUBERNETES_SERVICE_HOST: "10.0.0.1" },
    [how],
  );
  await program.says(/up/);
  return program;
}

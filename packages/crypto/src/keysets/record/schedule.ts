import { ALGORITHMS, type AlgorithmName } from "../../suites/catalog.ts";
import type { KeyRecord, KeysetRecord } from "./record.ts";

/** When keys come and go. */
export interface RotationPolicy {
  /** What new keys are for. A primary key of another algorithm is replaced. */
  readonly algorithm: AlgorithmName;
  /** Age of the primary key at which the next one takes over, in ms; `undefined`: only when asked. */
  readonly rotateEveryMs: number | undefined;
  /** How long a new key is only read with, so that every instance has it before anyone writes with it, in ms. */
  readonly propagationMs: number;
  /** How long a retired key still reads before it is disabled and, `propagationMs` later, destroyed; `undefined`: for ever. */
  readonly retainMs: number | undefined;
}

/** The next thing that a keyset needs, or how long nothing is due. */
export type Due =
  | { readonly action: "add" }
  | { readonly action: "promote" | "disable" | "destroy"; readonly id: number }
  | { readonly action: "wait"; readonly forMs: number };

/** Reserved messages at which the next key is prepared, as a part of the limit. */
const ROTATE_AT = 0.5;

/** What is due at `nowMs`. Pure, so every instance comes to the same answer from the same record. */
export function due(record: KeysetRecord, policy: RotationPolicy, nowMs: number): Due {
  const steps = [rotation(record, policy), ...record.keys.map((key) => retirement(key, record, policy))];
  const [next] = steps.filter((step) => step !== undefined).sort((a, b) => a.atMs - b.atMs);
  if (next === undefined) return { action: "wait", forMs: Number.POSITIVE_INFINITY };
  return next.atMs <= nowMs ? next.due : { action: "wait", forMs: next.atMs - nowMs };
}

interface Step {
  readonly atMs: number;
  readonly due: Due;
}

function rotation(record: KeysetRecord, policy: RotationPolicy): Step | undefined {
  const pending = record.keys.find((key) => key.state === "pending");
  if (pending !== undefined)
    return { atMs: pending.createdAtMs + policy.propagationMs, due: { action: "promote", id: pending.id } };
  const primary = record.keys.find((key) => key.id === record.primary);
  if (primary === undefined) return undefined;
  const { messageLimit = Number.POSITIVE_INFINITY } = ALGORITHMS[primary.algorithm];
  if (primary.algorithm !== policy.algorithm || (primary.reserved ?? 0) >= messageLimit * ROTATE_AT)
    return { atMs: 0, due: { action: "add" } };
  if (policy.rotateEveryMs === undefined) return undefined;
  // Added that much earlier, the new key takes over when the old one has reached its age.
  const ageMs = Math.max(0, policy.rotateEveryMs - policy.propagationMs);
  return { atMs: (primary.primaryAtMs ?? primary.createdAtMs) + ageMs, due: { action: "add" } };
}

function retirement(key: KeyRecord, record: KeysetRecord, policy: RotationPolicy): Step | undefined {
  if (policy.retainMs === undefined || key.retiredAtMs === undefined || key.id === record.primary) return undefined;
  const disableAtMs = key.retiredAtMs + policy.retainMs;
  if (key.state === "enabled") return { atMs: disableAtMs, due: { action: "disable", id: key.id } };
  if (key.state !== "disabled") return undefined;
  return {
    atMs: Math.max(disableAtMs, key.disabledAtMs ?? 0) + policy.propagationMs,
    due: { action: "destroy", id: key.id },
  };
}

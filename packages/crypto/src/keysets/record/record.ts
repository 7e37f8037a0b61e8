import type { KeyObject } from "node:crypto";
import type { AlgorithmName, Purpose } from "../../suites/catalog.ts";
import type { MessageFormat } from "../../suites/encoding/header.ts";

/**
 * Where a key is in its life. `pending` keys are known but write nothing yet; `enabled` ones read, and the primary
 * one writes; `disabled` ones do nothing until enabled again; of a `destroyed` one only the id is left.
 */
export type KeyState = "pending" | "enabled" | "disabled" | "destroyed";

/** One key as it is stored. Times are ms since 1970. */
export interface KeyRecord {
  readonly id: number;
  readonly algorithm: AlgorithmName;
  readonly state: KeyState;
  readonly createdAtMs: number;
  /** When it became primary last. */
  readonly primaryAtMs?: number;
  /** When another key took its place as primary. */
  readonly retiredAtMs?: number;
  readonly disabledAtMs?: number;
  readonly destroyedAtMs?: number;
  /** Messages that instances have reserved for themselves, where the algorithm counts them. */
  readonly reserved?: number;
  /** The key itself, outside of JavaScript's memory; gone once destroyed. */
  readonly key?: KeyObject;
}

/** A keyset as it is stored, at one revision. */
export interface KeysetRecord {
  readonly name: string;
  readonly purpose: Purpose;
  readonly revision: number;
  /** Id of the key that writes. */
  readonly primary: number;
  readonly keys: readonly KeyRecord[];
  /**
   * Format of the messages that are written. Missing where an instance of the first edition wrote the record last:
   * it knows only format 2, so that is what everybody writes then.
   */
  readonly messageFormat?: MessageFormat;
}

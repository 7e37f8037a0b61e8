/** What a unit of time is in ms. */
export const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** What a unit of size is in bytes. */
export const BYTE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** An amount in its smallest unit: a number, or text with a unit. `undefined` for anything else. */
export function amountOf(value: unknown, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  const [, digits, unit = ""] =
    (typeof value === "string" && /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(value)) || [];
  if (digits === undefined) return undefined;
  const factor = unit === "" ? 1 : Object.hasOwn(units, unit) ? units[unit] : undefined;
  return factor === undefined ? undefined : Math.round(Number(digits) * factor);
}

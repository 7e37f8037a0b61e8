import type { DriverOptions, Parser } from "./driver.ts";

/**
 * Types that drizzle reads and writes as text, while the raw client gives and takes a `Date`.
 *
 * drizzle's constructor would replace the parsers of the whole client. Here each connection asks, for each value,
 * whose query it is running, so that both share one pool and each sees what it expects.
 */
const SCALARS = [1184, 1082, 1083, 1114];
const ARRAYS = [1182, 1185, 1115, 1231];
const JSON_TYPES = [114, 3802];

/** Says whose query a connection is running. */
export interface DateMode {
  /** True for a query of drizzle. */
  asText: boolean;
}

/** Makes the scalar types of a connection's own options depend on its mode. Before it connects. */
export function switchScalars(options: DriverOptions, mode: DateMode): void {
  for (const type of SCALARS) switchParser(options.parsers, type, mode);
  for (const type of [...SCALARS, ...JSON_TYPES]) switchSerializer(options.serializers, type, mode);
}

/** Likewise the array types, which the driver adds when it has connected. */
export function switchArrays(options: DriverOptions, mode: DateMode): void {
  for (const type of ARRAYS) {
    if (options.parsers[type] !== undefined) switchParser(options.parsers, type, mode);
    switchSerializer(options.serializers, type, mode);
  }
}

function switchParser(parsers: Record<number, Parser>, type: number, mode: DateMode): void {
  const native: Parser = parsers[type] ?? ((text: string) => text);
  const parser: Parser =
    native.array === true
      ? (rest) => (mode.asText ? `{${rest}` : native(rest))
      : (text) => (mode.asText ? text : native(text));
  if (native.array === true) parser.array = true;
  parsers[type] = parser;
}

function switchSerializer(serializers: DriverOptions["serializers"], type: number, mode: DateMode): void {
  const native = serializers[type];
  if (native !== undefined) serializers[type] = (value) => (mode.asText ? value : native(value));
}

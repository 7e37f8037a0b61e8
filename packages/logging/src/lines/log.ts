import type { Clock } from "@steward/core";
import { pino, symbols, type ChildLoggerOptions, type Logger, type LogFn } from "pino";
import type { CheckedOptions } from "../options.ts";
import { Cleaner, isError } from "../redaction/cleaner.ts";
import { SecretKeys } from "../redaction/keys.ts";
import { contextText } from "./context.ts";
import { Storms } from "./storms.ts";
import type { Writer } from "./writer.ts";

type Serializers = NonNullable<ChildLoggerOptions["serializers"]>;

/** Below this level of pino every line is written: there each one may be a fact that somebody counts. */
const WARN = 40;

const asIs = (value: unknown): unknown => value;

/** A pino logger through which nothing is written that was not cleaned, and no storm of equal lines. */
export class Log {
  readonly logger: Logger;
  readonly #cleaner: Cleaner;
  readonly #storms: Storms | undefined;
  #summing = false;

  constructor(options: CheckedOptions, clock: Clock, writer: Writer) {
    const { fields, redact, show, storms = {} } = options;
    this.#cleaner = new Cleaner(new SecretKeys(redact, show));
    this.#storms = storms === false ? undefined : new Storms(clock, storms);
    const line = (logger: Logger, given: readonly unknown[], method: LogFn, weight: number): void =>
      this.#line(logger, given, method, weight);
    const contextOf = (logger: Logger | undefined): string =>
      logger === undefined || this.#summing ? "" : contextText(() => bindingsOf(logger));
    this.logger = pino(
      {
        base: fields === undefined ? null : this.#cleaner.fields(fields),
        // As text beside the time, where a mixin would have pino copy all fields of every line
        timestamp(this: Logger | undefined) {
          return `,"time":${clock.wallNow()}${contextOf(this)}`; // pino tries it out, without
        },
        serializers: { err: asIs },
        hooks: {
          logMethod(args, method, weight) {
            line(this, args, method, weight);
          },
        },
      },
      writer,
    );
    this.#coverChildren();
  }

  get collapsed(): number {
    return this.#storms?.collapsed ?? 0;
  }

  /** Writes the counts of lines that were collapsed. */
  flush(): void {
    this.#storms?.flush();
  }

  #line(logger: Logger, given: readonly unknown[], method: LogFn, weight: number): void {
    const args = this.#cleaner.isClean(given) ? given : this.#clean(logger, given);
    if (weight < WARN || this.#storms === undefined || this.#summing) return void Reflect.apply(method, logger, args);
    this.#orStorm(logger, args, method, weight, this.#storms);
  }

  #orStorm(logger: Logger, args: readonly unknown[], method: LogFn, weight: number, storms: Storms): void {
    const write = (line: readonly unknown[]): void => void Reflect.apply(method, logger, line);
    const [first, ...rest] = args;
    const say = (repeated: number): void => {
      this.#summing = true; // what it counts belongs to no single request
      try {
        if (typeof first === "object") write([{ ...first, repeated }, ...rest]);
        else write([{ repeated }, ...args]);
      } finally {
        this.#summing = false;
      }
    };
    if (storms.takes(keyOf(logger, args, weight), say)) write(args);
  }

  #clean(logger: Logger, given: readonly unknown[]): readonly unknown[] {
    const [first, ...rest] = given;
    const values = rest.map((value) => (isError(value) ? this.#described(value) : this.#cleaner.value(value)));
    if (typeof first !== "object" || first === null) return [this.#cleaner.value(first), ...values];
    const serializers = serializersOf(logger);
    return [this.#cleaner.fields(first, (key) => key !== "err" && key in serializers), ...values];
  }

  #described(error: Error): unknown {
    const { err } = this.#cleaner.fields(error) as { readonly err?: { readonly message: string } }; // it makes this of errors
    return err?.message;
  }

  /** Bindings of children become text at once, and their serializers run last, so both are cleaned where they come in. */
  #coverChildren(): void {
    const { child, setBindings } = this.logger;
    const clean = (logger: Logger, bindings: object, own: Serializers): object => {
      const serializers = { ...serializersOf(logger), ...own };
      return this.#cleaner.fields(bindings, (key) => key !== "err" && key in serializers);
    };
    const covered = (options: ChildLoggerOptions | undefined): ChildLoggerOptions | undefined =>
      options === undefined ? undefined : this.#covered(options);
    Object.assign(this.logger, {
      child(this: Logger, bindings: object, options?: ChildLoggerOptions): Logger {
        const cleaned = clean(this, bindings, options?.serializers ?? {});
        return Reflect.apply(child, this, [cleaned, covered(options)]) as Logger; // what pino makes
      },
      setBindings(this: Logger, bindings: object): void {
        Reflect.apply(setBindings, this, [clean(this, bindings, {})]);
      },
    });
  }

  #covered(options: ChildLoggerOptions): ChildLoggerOptions {
    const { serializers, formatters, msgPrefix } = options;
    const { log, bindings } = formatters ?? {};
    const cleaned = (made: object): Record<string, unknown> => this.#cleaner.fields(made);
    return {
      ...options,
      ...(serializers === undefined ? {} : { serializers: this.#serializers(serializers) }),
      ...(msgPrefix === undefined ? {} : { msgPrefix: this.#cleaner.text(msgPrefix) }),
      ...(formatters === undefined
        ? {}
        : {
            formatters: {
              ...formatters,
              ...(log === undefined ? {} : { log: (fields) => cleaned(log(fields)) }),
              ...(bindings === undefined ? {} : { bindings: (fields) => cleaned(bindings(fields)) }),
            },
          }),
    };
  }

  #serializers(given: Serializers): Serializers {
    const covered = Object.entries(given).map(([key, serialize]) => {
      const cleaned = (value: unknown): unknown => this.#cleaner.value(serialize(value));
      return [key, key === "err" ? asIs : cleaned] as const;
    });
    return Object.fromEntries(covered);
  }
}

function serializersOf(logger: Logger): object {
  return Reflect.get(logger, symbols.serializersSym) as object; // where pino has them
}

/** Bindings of a logger, as they stand in its lines. */
function bindingsOf(logger: object): string {
  return String((logger as Readonly<Record<symbol, unknown>>)[symbols.chindingsSym]); // where pino has them
}

/** Two lines are equal when everything but their time, their request and their stacks is. */
function keyOf(logger: Logger, args: readonly unknown[], weight: number): string {
  const withoutStacks = (key: string, value: unknown): unknown => (key === "stack" ? undefined : value);
  const shown = typeof args[0] === "object" ? plainOf(logger, args) : args;
  return `${weight} ${bindingsOf(logger)} ${JSON.stringify(shown, withoutStacks)}`;
}

/** Fields that a serializer is still to read may be anything, so they do not take part. */
function plainOf(logger: Logger, [first, ...rest]: readonly unknown[]): readonly unknown[] {
  const serializers = serializersOf(logger);
  const own = Object.entries(first as object).filter(([key]) => key === "err" || !(key in serializers)); // it is one
  return [Object.fromEntries(own), ...rest];
}

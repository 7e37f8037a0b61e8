import type { CallDefaults } from "../definition/defaults.ts";
import type { Definition } from "../definition/types.ts";
import type { ManagerContext } from "./manager-context.ts";
import type { Manager } from "./manager.ts";
import type { CheckedNeeds, Needs, OpenOfAll, ValuesOf } from "../definition/need.ts";
import { OptionsError } from "../options/problems.ts";
import { anything, func, required } from "../options/rules.ts";
import { parseOptions, type OptionsSchema } from "../options/schema.ts";
import { problemsIn, shape, type Shape } from "../options/shape.ts";
import { enabledRule, settingsRules, type ResourceSettings } from "../definition/settings.ts";
import { makeDefinition, snapshotNeeds, type Spec } from "../definition/spec.ts";

/** What a driver package says of itself so that its resources can be defined. */
export interface Driver<Input, Client> {
  /** The kind of resource, such as `redis`. */
  readonly kind: string;
  /** Checks the options early, as the manager does too. A strict object, so that typos are refused. */
  readonly schema: OptionsSchema;
  /** Makes a manager from options as they were given; it checks them itself, for it works alone too. No I/O. */
  readonly create: (options: Input, context: ManagerContext) => Manager<Client>;
  /** The options that stand for what a container says of the calls of all its resources. Default: it inherits nothing. */
  readonly inherit?: (defaults: CallDefaults) => Readonly<Record<string, unknown>>;
  /** Settings that differ from the usual ones, such as `readiness: "startup"` for what other processes share. */
  readonly settings?: ResourceSettings;
  /** True for what is up before anything else of a container starts that it does not need. Default `false`. */
  readonly first?: boolean;
}

/** Settings of a managed resource, next to its options. */
export interface ManagedSettings<E, N extends Needs = {}> extends ResourceSettings {
  /** Whether it exists at all. Where this is given, others can need it only as `optional(...)`. */
  readonly enabled?: E | ((needs: ValuesOf<N>) => E);
}

/** Options that are computed from needs. */
export interface DerivedOptions<Input, N extends Needs, E> extends ManagedSettings<E, N> {
  /** What the options are computed from, by reference. */
  readonly needs: N & CheckedNeeds<"application", N>;
  /** Computes the options; they are checked as soon as the needs are ready. */
  readonly options: (needs: ValuesOf<N>) => Input;
}

type ReachOfManaged<E> = [E] extends [undefined] ? "application" : "application?";

/**
 * Defines a managed resource: with literal options, checked at once, or with `needs` and `options` computed from them.
 * Problems with literal options are thrown together with those of all other resources when a container is made.
 */
export interface DriverFactory<Input, Client> {
  <const N extends Needs, E extends boolean | undefined = undefined>(
    name: string,
    given: DerivedOptions<Input, N, E>,
  ): Definition<Client, ReachOfManaged<E>, OpenOfAll<N>>;
  <E extends boolean | undefined = undefined>(
    name: string,
    given: Input & ManagedSettings<E>,
  ): Definition<Client, ReachOfManaged<E>>;
}

const settingsShape: Shape<ManagedSettings<boolean>> = /* @__PURE__ */ shape<ManagedSettings<boolean>>(() => ({
  ...settingsRules(),
  enabled: enabledRule(),
}));

const derivedShape: Shape<Derived> = /* @__PURE__ */ shape<Derived>(() => ({
  needs: anything(), // checked by `snapshotNeeds`, which knows why one is undefined
  options: required(func()),
}));

interface Derived {
  readonly needs?: Needs;
  readonly options: (needs: Readonly<Record<string, unknown>>) => unknown;
}

let settingKeys: ReadonlySet<string> | undefined;

interface Given extends ManagedSettings<unknown>, Partial<Derived> {}

/** Makes the function with which users define resources of a driver. For driver packages. */
export function defineDriver<Input, Client>(driver: Driver<Input, Client>): DriverFactory<Input, Client> {
  const define = (name: string, given: Given): Definition<Client> => {
    const { settings, options } = split(given);
    const { needs, options: derive, enabled } = given;
    const problems = [
      ...problemsIn(name, settingsShape({ ...settings, enabled })),
      ...(derive === undefined && needs === undefined
        ? parseOptions(name, driver.schema, options, settingKeys).problems
        : problemsIn(name, derivedShape(options))),
    ];
    const spec: Spec = {
      kind: "managed",
      name,
      lifetime: "application",
      needs: snapshotNeeds(name, needs),
      generator: false,
      enabled: enabled as Spec["enabled"], // checked by the types of the factory
      settings: { ...driver.settings, ...settings },
      managed: {
        driver: driver.kind,
        problems,
        first: driver.first,
        prepare: (values, defaults = {}) => {
          const given = derive === undefined ? options : derive(values);
          const whole = withInherited(driver.inherit?.(defaults) ?? {}, given);
          return whole === options ? options : wellFormed(name, driver.schema, whole);
        },
        create: (wellFormed, { name, clock }) =>
          driver.create(wellFormed as Input, { ...limits(settings), name, clock }), // what `prepare` let through
      },
    };
    return makeDefinition(spec);
  };
  return define as DriverFactory<Input, Client>; // one implementation for both forms
}

/** Options with what the container says where they say nothing. The same object where nothing is inherited. */
function withInherited(inherited: Readonly<Record<string, unknown>>, given: unknown): unknown {
  if (typeof given !== "object" || given === null) return given;
  const own = given as Readonly<Record<string, unknown>>; // to look at; it is checked afterwards
  const missing = Object.entries(inherited).filter(([key, value]) => value !== undefined && own[key] === undefined);
  return missing.length === 0 ? given : { ...given, ...Object.fromEntries(missing) };
}

/** What was given, where nothing is wrong with it. */
function wellFormed(name: string, schema: OptionsSchema, given: unknown): unknown {
  const { problems } = parseOptions(name, schema, given);
  if (problems.length > 0) throw new OptionsError(problems);
  return given;
}

/** The bounds of a manager's own life, among the settings of its resource. */
export function limits({ startTimeoutMs, drainTimeoutMs, stopTimeoutMs }: ResourceSettings): ManagerContext {
  return { startTimeoutMs, drainTimeoutMs, stopTimeoutMs };
}

/** What every resource can say of itself, and what only one of this driver can. */
function split(given: Given): { settings: ResourceSettings; options: Record<string, unknown> } {
  settingKeys ??= new Set([...Object.keys(settingsRules()), "enabled"]);
  const settings: Record<string, unknown> = {};
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (!settingKeys.has(key)) options[key] = value;
    else if (value !== undefined && key !== "enabled") settings[key] = value;
  }
  return { settings, options };
}

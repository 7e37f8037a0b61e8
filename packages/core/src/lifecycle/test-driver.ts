import { makeDefinition, specOf } from "../definition/spec.ts";
import type { Definition } from "../definition/types.ts";
import { StewardError } from "../errors.ts";
import { limits } from "./driver.ts";
import type { ManagerContext } from "./manager-context.ts";
import type { Manager } from "./manager.ts";

/** How what stands for a driver in tests is made. */
export interface TestDriver<Options, Client, M extends Manager<Client>> {
  /** Defines the resource of a name, as the driver's factory does. */
  readonly define: (name: string) => Definition<Client, "application" | "application?">;
  /** What stays of the options of a resource: all but those that say where the real one is. */
  readonly keep: (given: Readonly<Record<string, unknown>>) => Options;
  /** Makes a manager of the stand-in. No I/O. */
  readonly create: (options: Options, context: ManagerContext) => M;
}

/** What every `./testing` of a driver has: a manager to use alone, and a definition to pass to `override`. */
export interface TestFactory<Options, Client, M extends Manager<Client>> {
  /** A manager to use alone; it must be started. */
  (options?: Options, context?: ManagerContext): M;
  /**
   * A definition for `override`: of a name, or in the place of another definition, whose needs, settings and options stay,
   * but for the options given here and those that say where the real one is. It may hold inputs of the application.
   */
  definition<R extends string = "application", Open extends string = never>(
    of: string | Definition<Client, R, Open>,
    options?: Options,
  ): Definition<Client, R, Open>;
}

/** Makes the functions of a driver's `./testing`. For driver packages. */
export function defineTestDriver<Options extends object, Client, M extends Manager<Client>>(
  driver: TestDriver<Options, Client, M>,
): TestFactory<Options, Client, M> {
  const make = (options = {} as Options, context: ManagerContext = {}): M => driver.create(options, context); // none is required
  const definition = <R extends string, Open extends string>(
    of: string | Definition<Client, R, Open>,
    options?: Options,
  ): Definition<Client, R, Open> => {
    const spec = specOf(typeof of === "string" ? driver.define(of) : of);
    const { managed, name, settings } = spec;
    if (managed === undefined)
      throw new StewardError("DEFINITION_INVALID", `${name}: is no resource of this driver, which could stand for it`);
    return makeDefinition<Definition<Client, R, Open>>({
      ...spec,
      managed: {
        ...managed,
        prepare: (values, defaults) => ({
          ...driver.keep(managed.prepare(values, defaults) as Readonly<Record<string, unknown>>), // what the factory was given
          ...options,
        }),
        create: (wanted, { name, clock }) => driver.create(wanted as Options, { ...limits(settings), name, clock }), // what `prepare` made
      },
    });
  };
  return Object.assign(make, { definition });
}

/** Options without those of some names. For {@link TestDriver.keep}. */
export function optionsWithout(
  given: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(given).filter(([key]) => !names.includes(key)));
}

import { Module, type DynamicModule, type Provider } from "@nestjs/common";
import { APP_FILTER, APP_INTERCEPTOR, HttpAdapterHost, ModulesContainer } from "@nestjs/core";
import type { ExpressAdapter } from "@nestjs/platform-express";
import type { Container } from "@steward/container";
import { definitionsHeld, type AllInputs } from "@steward/container/framework";
import type { Binding } from "@steward/core";
import type { Needs } from "@steward/core/container";
import { assertJoin, type NodeSettings } from "@steward/server/node";
import type { Request } from "express";
import { Creation } from "./creation.ts";
import { StewardLife } from "./life.ts";
import { token } from "./needs.ts";

/** Settings of an app of Nest's. */
export interface NestSettings extends NodeSettings<Request> {
  /** Dependencies of every method with needs, resolved before its own, for what they do. */
  readonly dependencies?: Needs;
}

/** Options of {@link StewardModule.forRoot}. */
export interface StewardModuleOptions<B extends readonly Binding[]> extends NestSettings {
  /** Inputs of the container. */
  readonly inputs?: B;
}

/** The container of an app of Nest's. */
// oxlint-disable-next-line typescript/no-extraneous-class -- Nest's modules are classes
export class StewardModule {
  /**
   * A global module that starts a container with the app and stops it with the app, by Nest's shutdown hooks. What the
   * container holds can be injected: `@Inject(token(users))`.
   *
   * It is for an app whose owner is Nest. Where `runMain` is, that starts a `nestServer`, which has this module already.
   *
   * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
   *
   * @example
   * ```ts
   * import { NestFactory } from "@nestjs/core";
   * import { container } from "@steward/container";
   * import { resource } from "@steward/core";
   * import { StewardModule, token } from "@steward/nest";
   * const greeting = resource("greeting", { start: () => "hello" });
   * const imports = [StewardModule.forRoot(container([greeting]))];
   * const app = await NestFactory.create({ imports }, { bodyParser: false, logger: false });
   * await app.init();
   * console.log(app.get(token(greeting))); // => hello
   * await app.close();
   * ```
   */
  static forRoot<Open extends string, const B extends readonly Binding[] = readonly []>(
    given: Container<Open> & AllInputs<Open, B>,
    options: StewardModuleOptions<B> = {},
  ): DynamicModule {
    const container = given as Container<never>; // all inputs are given, the signature says
    assertJoin({ container, ...options });
    const { inputs = [], ...settings } = options;
    const make = async (host: HttpAdapterHost<ExpressAdapter>, modules: ModulesContainer): Promise<StewardLife> => {
      const life = new StewardLife(host.httpAdapter, modules, settings);
      await life.start(container, inputs, new Creation(modules));
      return life;
    };
    const held = definitionsHeld(container).map((definition) => ({
      provide: token(definition),
      inject: [StewardLife],
      useFactory: ({ running }: StewardLife): unknown => running?.get(definition as never), // the container holds it
    }));
    return moduleOf(make, held);
  }
}

Module({})(StewardModule);

/** @internal The module with a life that is made in one way or the other. */
export function moduleOf(
  make: (host: HttpAdapterHost<ExpressAdapter>, modules: ModulesContainer) => StewardLife | Promise<StewardLife>,
  provided: readonly Provider[],
): DynamicModule {
  return {
    module: StewardModule,
    global: true,
    providers: [
      { provide: StewardLife, inject: [HttpAdapterHost, ModulesContainer], useFactory: make },
      { provide: APP_INTERCEPTOR, useExisting: StewardLife },
      { provide: APP_FILTER, useExisting: StewardLife },
      ...provided,
    ],
    exports: [StewardLife, ...provided],
  };
}

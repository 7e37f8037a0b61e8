import { createServer, type Server } from "node:http";
import type { DynamicModule, ModuleMetadata, NestApplicationOptions, Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ExpressAdapter, type NestExpressApplication } from "@nestjs/platform-express";
import type { Definition } from "@steward/core";
import type { Needs, OpenOfAll, ValuesOf } from "@steward/core/container";
import { anything, assertShape, func, milliseconds, required, shape, type Shape } from "@steward/core/driver";
import {
  serverResource,
  settingRules,
  timeoutsOf,
  type ListenOptions,
  type NodeServer,
  type ServerTimeouts,
} from "@steward/server/node";
import { StewardLife } from "./life.ts";
import { moduleOf, type NestSettings } from "./module.ts";
import { token } from "./needs.ts";

/** How a server is made. */
export interface NestServerOptions<N extends Needs> extends ServerTimeouts, NestSettings {
  /** What can be injected: `@Inject(token(users))`. What methods need has to be in the container, not here. */
  readonly needs?: N;
  /** The app's module, or what would stand in its decorator. */
  readonly module: Type | DynamicModule | ModuleMetadata;
  /** Where it listens. */
  readonly listen: (values: ValuesOf<N>) => ListenOptions;
  /** Called before the app begins: for its prefix, pipes, CORS and whatever else Nest has. */
  readonly setup?: (app: NestExpressApplication, values: ValuesOf<N>) => unknown;
  /** Options of Nest's. Default: Nest's own parsers are off, and it logs errors and warnings. */
  readonly nest?: NestApplicationOptions;
}

const serverShape: Shape<NestServerOptions<{}>> = shape<NestServerOptions<{}>>(() => ({
  ...settingRules(),
  needs: anything(), // checked by the definition
  module: required(anything()), // checked by Nest
  listen: required(func()),
  dependencies: anything(), // checked by the methods
  setup: func(),
  nest: anything(),
  requestTimeoutMs: milliseconds(1),
  keepAliveTimeoutMs: milliseconds(1),
}));

/**
 * Defines an app of Nest's and its server as a resource: it listens while the rest of its container starts, so that
 * probes are answered; it drains, and the app closes, before what its requests need is stopped.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {PORT_BUSY} at start, when another program has the port.
 *
 * @example
 * ```ts no-run
 * import { Controller, Get } from "@nestjs/common";
 * import { container, runMain } from "@steward/container";
 * import { Needs, nestServer } from "@steward/nest";
 * @Controller()
 * class Hello {
 *   @Get()
 *   @Needs({})
 *   hello() {
 *     return "hello";
 *   }
 * }
 * const module = { controllers: [Hello] };
 * await runMain(container([nestServer("server", { module, listen: () => ({ port: 3000 }) })]));
 * ```
 */
export function nestServer<const N extends Needs = {}>(
  name: string,
  options: NestServerOptions<N>,
): Definition<NodeServer<Server>, "application", OpenOfAll<N>> {
  assertShape(name, serverShape, options);
  const {
    needs,
    module,
    listen,
    setup,
    nest,
    requestTimeoutMs: _request,
    keepAliveTimeoutMs: _idle,
    ...rest
  } = options;
  const timeouts = timeoutsOf(options);
  return serverResource(name, needs, async (values, running) => {
    const adapter = new ExpressAdapter();
    const server = createServer(timeouts, adapter.getInstance());
    adapter.initHttpServer = () => adapter.setHttpServer(server);
    const close = (): Promise<void> => app.close();
    const steward = moduleOf(
      (_host, modules) => new StewardLife(adapter, modules, rest, running, close),
      Object.entries(needs ?? {}).map(([key, need]) => ({ provide: token(need), useValue: values[key] })),
    );
    const root = isModule(module) ? { imports: [module] } : module;
    const imports = [steward, ...(root.imports ?? [])];
    const options = { ...DEFAULTS, ...nest, ...OURS };
    const app = await NestFactory.create<NestExpressApplication>({ ...root, imports }, adapter, options);
    Object.defineProperty(app, "enableShutdownHooks", { value: refuseSignals }); // Nest's proxy takes no assignment
    try {
      await setup?.(app, values);
      await app.init();
      return await app.get(StewardLife).listen(server, listen(values));
    } catch (error) {
      await app.close();
      throw error;
    }
  });
}

const DEFAULTS: NestApplicationOptions = { bodyParser: false, logger: ["error", "warn"] };
/** The container says what has failed, and stops the rest. */
const OURS: NestApplicationOptions = { abortOnError: false };

function isModule(module: Type | DynamicModule | ModuleMetadata): module is Type | DynamicModule {
  return typeof module === "function" || "module" in module;
}

function refuseSignals(): never {
  throw new TypeError("nestServer: signals belong to runMain, which stops the server with its container");
}

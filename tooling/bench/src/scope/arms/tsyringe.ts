import "reflect-metadata";
import {
  container,
  inject,
  injectable,
  instancePerContainerCachingFactory,
  Lifecycle,
  type DependencyContainer,
} from "tsyringe";
import type { Arm } from "../../arms/arm.ts";
import { type Server, serving } from "../serving.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

type Class = new (...args: never[]) => unknown;

/** What its decorators do, called as the functions that they are. */
function decorate(target: Class, tokens: readonly (string | Class)[]): void {
  tokens.forEach((token, i) => inject(token as never)(target, undefined, i)); // its token type wants constructors of any
  injectable()(target as never);
}

function byClasses(): DependencyContainer {
  decorate(Trace, ["request", Settings]);
  decorate(User, [Trace]);
  decorate(Tenant, [Trace]);
  decorate(Access, [User, Tenant]);
  decorate(Orders, [Access]);
  decorate(Stock, [Access, Settings]);
  decorate(Cart, [Orders, Stock]);
  decorate(Page, [Cart, "request"]);
  const root = container.createChildContainer();
  root.registerSingleton(Settings);
  for (const target of [Trace, User, Tenant, Access, Orders, Stock, Cart, Page] as never[])
    root.register(target, target, { lifecycle: Lifecycle.ContainerScoped });
  return root;
}

function byFactories(): DependencyContainer {
  const root = container.createChildContainer();
  root.registerInstance(Settings, new Settings());
  const add = <T>(token: new (...args: never[]) => T, make: (c: DependencyContainer) => T): void =>
    void root.register(token as never, { useFactory: instancePerContainerCachingFactory(make) });
  add(Trace, (c) => new Trace(c.resolve<Request>("request"), c.resolve(Settings)));
  add(User, (c) => new User(c.resolve(Trace)));
  add(Tenant, (c) => new Tenant(c.resolve(Trace)));
  add(Access, (c) => new Access(c.resolve(User), c.resolve(Tenant)));
  add(Orders, (c) => new Orders(c.resolve(Access)));
  add(Stock, (c) => new Stock(c.resolve(Access), c.resolve(Settings)));
  add(Cart, (c) => new Cart(c.resolve(Orders), c.resolve(Stock)));
  add(Page, (c) => new Page(c.resolve(Cart), c.resolve<Request>("request")));
  return root;
}

function runner(root: DependencyContainer, release: boolean): Server {
  const enter = (request: Request): DependencyContainer =>
    root.createChildContainer().registerInstance<Request>("request", request);
  return {
    // Its dispose is a promise. Unless the loop turns, the promises pile up, which no server would see.
    needsTurns: release,
    sync: (request) => {
      const scope = enter(request);
      const page = scope.resolve(Page);
      if (release) void scope.dispose();
      return page;
    },
    hold: (request) => {
      const scope = enter(request);
      return [scope, scope.resolve(Page)];
    },
  };
}

export const arms: readonly Arm[] = [
  { name: "tsyringe, classes (default)", kind: "scope", open: () => serving(runner(byClasses(), true)) },
  { name: "tsyringe, factories, never disposed", kind: "scope", open: () => serving(runner(byFactories(), false)) },
];

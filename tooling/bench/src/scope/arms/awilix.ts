import { asClass, asFunction, asValue, createContainer, InjectionMode, type AwilixContainer } from "awilix";
import type { Arm } from "../../arms/arm.ts";
import { serving } from "../serving.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

interface Cradle {
  readonly settings: Settings;
  readonly request: Request;
  readonly trace: Trace;
  readonly user: User;
  readonly tenant: Tenant;
  readonly access: Access;
  readonly orders: Orders;
  readonly stock: Stock;
  readonly cart: Cart;
  readonly page: Page;
}

/** The mode PROXY hands the cradle to a function, which takes what it needs out of it. */
function proxyMode(): AwilixContainer<Cradle> {
  return createContainer<Cradle>({ injectionMode: InjectionMode.PROXY }).register({
    settings: asClass(Settings).singleton(),
    trace: asFunction(({ request, settings }: Cradle) => new Trace(request, settings)).scoped(),
    user: asFunction(({ trace }: Cradle) => new User(trace)).scoped(),
    tenant: asFunction(({ trace }: Cradle) => new Tenant(trace)).scoped(),
    access: asFunction(({ user, tenant }: Cradle) => new Access(user, tenant)).scoped(),
    orders: asFunction(({ access }: Cradle) => new Orders(access)).scoped(),
    stock: asFunction(({ access, settings }: Cradle) => new Stock(access, settings)).scoped(),
    cart: asFunction(({ orders, stock }: Cradle) => new Cart(orders, stock)).scoped(),
    page: asFunction(({ cart, request }: Cradle) => new Page(cart, request)).scoped(),
  });
}

/** The mode CLASSIC reads the names of the parameters. */
function classicMode(): AwilixContainer<Cradle> {
  return createContainer<Cradle>({ injectionMode: InjectionMode.CLASSIC }).register({
    settings: asClass(Settings).singleton(),
    trace: asClass(Trace).scoped(),
    user: asClass(User).scoped(),
    tenant: asClass(Tenant).scoped(),
    access: asClass(Access).scoped(),
    orders: asClass(Orders).scoped(),
    stock: asClass(Stock).scoped(),
    cart: asClass(Cart).scoped(),
    page: asClass(Page).scoped(),
  });
}

function arm(name: string, open: () => AwilixContainer<Cradle>, releases: boolean): Arm {
  const enter = (container: AwilixContainer<Cradle>, request: Request): AwilixContainer<Cradle> =>
    container.createScope<Cradle>().register("request", asValue(request));
  return {
    name,
    kind: "scope",
    open() {
      const container = open();
      return serving({
        // Its dispose is a promise. Unless the loop turns, the promises pile up, which no server would see.
        needsTurns: releases,
        sync: (request) => {
          const scope = enter(container, request);
          const page = scope.resolve("page");
          if (releases) void scope.dispose();
          return page;
        },
        hold: (request) => {
          const scope = enter(container, request);
          return [scope, scope.resolve("page")];
        },
      });
    },
  };
}

/** At its default, and at its best: nothing here has to be disposed. */
export const arms: readonly Arm[] = [
  arm("awilix PROXY (default)", proxyMode, true),
  arm("awilix PROXY, never disposed", proxyMode, false),
  arm("awilix CLASSIC, never disposed", classicMode, false),
];

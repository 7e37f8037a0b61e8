import { asClass, asValue, createContainer, InjectionMode, type AwilixContainer } from "awilix";
import type { ScopeRunner, ScopeVariant } from "../contender.ts";
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

/** The mode PROXY hands the cradle to a constructor; these classes read from it, and are the graph's own otherwise. */
class ProxyTrace extends Trace {
  constructor({ request, settings }: Cradle) {
    super(request, settings);
  }
}
class ProxyUser extends User {
  constructor({ trace }: Cradle) {
    super(trace);
  }
}
class ProxyTenant extends Tenant {
  constructor({ trace }: Cradle) {
    super(trace);
  }
}
class ProxyAccess extends Access {
  constructor({ user, tenant }: Cradle) {
    super(user, tenant);
  }
}
class ProxyOrders extends Orders {
  constructor({ access }: Cradle) {
    super(access);
  }
}
class ProxyStock extends Stock {
  constructor({ access, settings }: Cradle) {
    super(access, settings);
  }
}
class ProxyCart extends Cart {
  constructor({ orders, stock }: Cradle) {
    super(orders, stock);
  }
}
class ProxyPage extends Page {
  constructor({ cart, request }: Cradle) {
    super(cart, request);
  }
}

function proxyMode(strict: boolean): AwilixContainer<Cradle> {
  return createContainer<Cradle>({ injectionMode: InjectionMode.PROXY, strict }).register({
    settings: asClass(Settings).singleton(),
    trace: asClass(ProxyTrace).scoped(),
    user: asClass(ProxyUser).scoped(),
    tenant: asClass(ProxyTenant).scoped(),
    access: asClass(ProxyAccess).scoped(),
    orders: asClass(ProxyOrders).scoped(),
    stock: asClass(ProxyStock).scoped(),
    cart: asClass(ProxyCart).scoped(),
    page: asClass(ProxyPage).scoped(),
  });
}

function classicMode(strict: boolean): AwilixContainer<Cradle> {
  return createContainer<Cradle>({ injectionMode: InjectionMode.CLASSIC, strict }).register({
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

function runner(container: AwilixContainer<Cradle>, release: boolean): ScopeRunner {
  const enter = (request: Request): AwilixContainer<Cradle> => {
    const scope = container.createScope<Cradle>();
    scope.register("request", asValue(request));
    return scope;
  };
  return {
    // Its dispose is a promise. Unless the loop turns, the promises pile up, which no server would see.
    needsTurns: release,
    sync: (request) => {
      const scope = enter(request);
      const page = scope.resolve("page");
      if (release) void scope.dispose();
      return page;
    },
    hold: (request) => {
      const scope = enter(request);
      return [scope, scope.resolve("page")];
    },
  };
}

export const variants: readonly ScopeVariant[] = [
  { name: "awilix PROXY (default)", open: () => runner(proxyMode(false), true) },
  { name: "awilix PROXY, never disposed", open: () => runner(proxyMode(false), false) },
  { name: "awilix CLASSIC", open: () => runner(classicMode(false), true) },
  { name: "awilix CLASSIC, never disposed", open: () => runner(classicMode(false), false) },
];

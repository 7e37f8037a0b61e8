import "reflect-metadata";
import { Container } from "inversify";
import type { Arm } from "../../arms/arm.ts";
import { type Server, serving } from "../serving.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

const request = Symbol("request");

/** Bound by factories, so that no decorator is read; "request scope" of inversify means one `get`, as used here. */
function graph(): Container {
  const root = new Container({ defaultScope: "Request" });
  root
    .bind(Settings)
    .toResolvedValue(() => new Settings())
    .inSingletonScope();
  root.bind(Trace).toResolvedValue((r: Request, s: Settings) => new Trace(r, s), [request, Settings]);
  root.bind(User).toResolvedValue((t: Trace) => new User(t), [Trace]);
  root.bind(Tenant).toResolvedValue((t: Trace) => new Tenant(t), [Trace]);
  root.bind(Access).toResolvedValue((u: User, t: Tenant) => new Access(u, t), [User, Tenant]);
  root.bind(Orders).toResolvedValue((a: Access) => new Orders(a), [Access]);
  root.bind(Stock).toResolvedValue((a: Access, s: Settings) => new Stock(a, s), [Access, Settings]);
  root.bind(Cart).toResolvedValue((o: Orders, s: Stock) => new Cart(o, s), [Orders, Stock]);
  root.bind(Page).toResolvedValue((c: Cart, r: Request) => new Page(c, r), [Cart, request]);
  return root;
}

/** A child container for each request, as its documents advise for a value of the request. */
function withChild(needsTurns: boolean): Server {
  const root = graph();
  const enter = (value: Request): Container => {
    const child = new Container({ parent: root });
    child.bind<Request>(request).toConstantValue(value);
    return child;
  };
  return {
    needsTurns,
    sync: (value) => enter(value).get(Page),
    hold: (value) => {
      const child = enter(value);
      return [child, child.get(Page)];
    },
  };
}

/** One container for all; the value is handed over in a variable. Correct only while nothing in the graph waits. */
function withVariable(): Server {
  const root = graph();
  let now: Request = { id: "" };
  root.bind<Request>(request).toDynamicValue(() => now);
  return {
    sync: (value) => {
      now = value;
      return root.get(Page);
    },
  };
}

export const arms: readonly Arm[] = [
  { name: "inversify, child container (default)", kind: "scope", open: () => serving(withChild(false)) },
  { name: "inversify, child container, loop turns", kind: "scope", open: () => serving(withChild(true)) },
  { name: "inversify, no scope, value in a variable", kind: "scope", open: () => serving(withVariable()) },
];

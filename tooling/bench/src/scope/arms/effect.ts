import { Context, Effect, Layer, ManagedRuntime } from "effect";
import type { Arm } from "../../arms/arm.ts";
import { type Server, serving } from "../serving.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

class RequestKey extends Context.Service<RequestKey, Request>()("request") {}
class SettingsKey extends Context.Service<SettingsKey, Settings>()("settings") {}
class TraceKey extends Context.Service<TraceKey, Trace>()("trace") {}
class UserKey extends Context.Service<UserKey, User>()("user") {}
class TenantKey extends Context.Service<TenantKey, Tenant>()("tenant") {}
class AccessKey extends Context.Service<AccessKey, Access>()("access") {}
class OrdersKey extends Context.Service<OrdersKey, Orders>()("orders") {}
class StockKey extends Context.Service<StockKey, Stock>()("stock") {}
class CartKey extends Context.Service<CartKey, Cart>()("cart") {}
class PageKey extends Context.Service<PageKey, Page>()("page") {}

const makeTrace = Effect.gen(function* () {
  return new Trace(yield* RequestKey, yield* SettingsKey);
});
const makeAccess = Effect.gen(function* () {
  return new Access(yield* UserKey, yield* TenantKey);
});
const makeStock = Effect.gen(function* () {
  return new Stock(yield* AccessKey, yield* SettingsKey);
});
const makeCart = Effect.gen(function* () {
  return new Cart(yield* OrdersKey, yield* StockKey);
});
const makePage = Effect.gen(function* () {
  return new Page(yield* CartKey, yield* RequestKey);
});

/** The graph as layers, which is how Effect shares what a diamond needs. */
const layers = Layer.effect(PageKey, makePage).pipe(
  Layer.provide(Layer.effect(CartKey, makeCart)),
  Layer.provide([
    Layer.effect(
      OrdersKey,
      Effect.map(AccessKey, (a) => new Orders(a)),
    ),
    Layer.effect(StockKey, makeStock),
  ]),
  Layer.provide(Layer.effect(AccessKey, makeAccess)),
  Layer.provide([
    Layer.effect(
      UserKey,
      Effect.map(TraceKey, (t) => new User(t)),
    ),
    Layer.effect(
      TenantKey,
      Effect.map(TraceKey, (t) => new Tenant(t)),
    ),
  ]),
  Layer.provide(Layer.effect(TraceKey, makeTrace)),
);

/** What Effect's users mostly write: one effect that makes the graph by hand; only the request is provided. */
const byHand = Effect.gen(function* () {
  const settings = yield* SettingsKey;
  const request = yield* RequestKey;
  const trace = new Trace(request, settings);
  const access = new Access(new User(trace), new Tenant(trace));
  return new Page(new Cart(new Orders(access), new Stock(access, settings)), request);
});

function runtime(): ManagedRuntime.ManagedRuntime<SettingsKey, never> {
  return ManagedRuntime.make(Layer.succeed(SettingsKey, new Settings()));
}

function withLayers(): Server {
  const running = runtime();
  const program = Effect.provide(
    Effect.map(PageKey, (page) => page),
    layers,
    { local: true },
  );
  const sync = (request: Request): Page => running.runSync(Effect.provideService(program, RequestKey, request));
  return { sync };
}

function withoutLayers(): Server {
  const running = runtime();
  const sync = (request: Request): Page => running.runSync(Effect.provideService(byHand, RequestKey, request));
  return { sync };
}

export const arms: readonly Arm[] = [
  { name: "Effect, a layer for each request", kind: "scope", open: () => serving(withLayers()) },
  { name: "Effect, graph made by hand in one effect", kind: "scope", open: () => serving(withoutLayers()) },
];

import { container, type Running } from "@steward/container";
import { input, resource } from "@steward/core";
import type { ScopeVariant } from "../contender.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

const request = input<Request>()("request", { lifetime: "request" });
const settings = resource("settings", { start: () => new Settings() });
const trace = resource("trace", {
  lifetime: "request",
  needs: { request, settings },
  start: ({ request, settings }) => new Trace(request, settings),
});
const user = resource("user", { lifetime: "request", needs: { trace }, start: ({ trace }) => new User(trace) });
const tenant = resource("tenant", { lifetime: "request", needs: { trace }, start: ({ trace }) => new Tenant(trace) });
const access = resource("access", {
  lifetime: "request",
  needs: { user, tenant },
  start: ({ user, tenant }) => new Access(user, tenant),
});
const orders = resource("orders", {
  lifetime: "request",
  needs: { access },
  start: ({ access }) => new Orders(access),
});
const stock = resource("stock", {
  lifetime: "request",
  needs: { access, settings },
  start: ({ access, settings }) => new Stock(access, settings),
});
const cart = resource("cart", {
  lifetime: "request",
  needs: { orders, stock },
  start: ({ orders, stock }) => new Cart(orders, stock),
});
const page = resource("page", {
  lifetime: "request",
  needs: { cart, request },
  start: ({ cart, request }) => new Page(cart, request),
});

const needs = { page };

function start(): Promise<Running> {
  return container([page]).start();
}

/** The synchronous form: the page is there when the call returns. */
function takenFrom(serve: (request: Request, take: (page: Page) => void) => void): (request: Request) => Page {
  let taken: Page | undefined;
  const take = (page: Page): void => void (taken = page);
  return (request) => {
    taken = undefined;
    serve(request, take);
    if (taken === undefined) throw new Error("the synchronous form did not call the function in the same tick");
    return taken;
  };
}

export const variants: readonly ScopeVariant[] = [
  {
    name: "Steward, synchronous, hoisted needs",
    open: async () => {
      const running = await start();
      const never = new Promise<void>(() => {});
      return {
        sync: takenFrom((value, take) => void running.scope([request.is(value)], needs, ({ page }) => take(page))),
        // A request whose handler has not settled yet. The handler's own promise is not counted: it is one for all.
        hold: (value) => [running.scope([request.is(value)], needs, () => never)],
      };
    },
  },
  {
    name: "Steward, synchronous, inline needs",
    open: async () => {
      const running = await start();
      return {
        sync: takenFrom((value, take) => void running.scope([request.is(value)], { page }, ({ page }) => take(page))),
        hold: async (value) => {
          const scope = running.scope([request.is(value)]);
          return [scope, await scope.resolve({ page })];
        },
      };
    },
  },
  {
    name: "Steward, awaited, hoisted needs",
    open: async () => {
      const running = await start();
      return { wait: (value) => running.scope([request.is(value)], needs, ({ page }) => page) };
    },
  },
  {
    name: "Steward, awaited, inline needs",
    open: async () => {
      const running = await start();
      return {
        wait: (value) => running.scope([request.is(value)], { page }, ({ page }) => page),
        hold: async (value) => {
          const scope = running.scope([request.is(value)]);
          return [scope, await scope.get(page)];
        },
      };
    },
  },
  {
    name: "Steward, awaited, async function",
    open: async () => {
      const running = await start();
      return { wait: (value) => running.scope([request.is(value)], { page }, async ({ page }) => page) };
    },
  },
];

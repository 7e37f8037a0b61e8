import { container, type RunningContainer } from "@steward/container";
import { input, resource } from "@steward/core";
import type { Arm } from "../../arms/arm.ts";
import { type Server, serving } from "../serving.ts";
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

function start(): Promise<RunningContainer> {
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

function arm(name: string, kind: string, serverOf: (running: RunningContainer) => Server): Arm {
  return { name, kind, open: async () => serving(serverOf(await start())) };
}

const never = new Promise<void>(() => {});

/** An open scope and its page. */
const held =
  (running: RunningContainer) =>
  async (value: Request): Promise<readonly unknown[]> => {
    const scope = running.scope([request.is(value)]);
    return [scope, await scope.get(page)];
  };

export const arms: readonly Arm[] = [
  arm("Steward, hoisted needs", "scope", (running) => ({
    sync: takenFrom((value, take) => void running.scope([request.is(value)], needs, ({ page }) => take(page))),
    // A request whose handler has not settled yet. The handler's own promise is not counted: it is one for all.
    hold: (value) => [running.scope([request.is(value)], needs, () => never)],
  })),
  arm("Steward, inline needs", "scope", (running) => ({
    sync: takenFrom((value, take) => void running.scope([request.is(value)], { page }, ({ page }) => take(page))),
    hold: async (value) => {
      const scope = running.scope([request.is(value)]);
      return [scope, await scope.resolve({ page })];
    },
  })),
  arm("Steward, awaited", "scope, awaited", (running) => ({
    wait: (value) => running.scope([request.is(value)], { page }, ({ page }) => page),
    hold: held(running),
  })),
  arm("Steward, awaited, async function", "scope, awaited", (running) => ({
    wait: (value) => running.scope([request.is(value)], { page }, async ({ page }) => page),
    hold: held(running),
  })),
];

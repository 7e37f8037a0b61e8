import { Container } from "@inferdi/inferdi";
import type { ScopeRunner, ScopeVariant } from "../contender.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

/** InferDI takes no value when a scope opens; its documents fill a scoped holder, as its Hono adapter does. */
class Holder {
  id = "";
}

function graph(strict: boolean) {
  return new Container({ strict })
    .registerClass("settings", Settings, [])
    .registerClass("request", Holder, [], "scoped")
    .registerClass("trace", Trace, ["request", "settings"], "scoped")
    .registerClass("user", User, ["trace"], "scoped")
    .registerClass("tenant", Tenant, ["trace"], "scoped")
    .registerClass("access", Access, ["user", "tenant"], "scoped")
    .registerClass("orders", Orders, ["access"], "scoped")
    .registerClass("stock", Stock, ["access", "settings"], "scoped")
    .registerClass("cart", Cart, ["orders", "stock"], "scoped")
    .registerClass("page", Page, ["cart", "request"], "scoped");
}

type Graph = ReturnType<typeof graph>;

function filled(root: Graph, request: Request): Graph {
  const scope = root.createScope();
  scope.get("request").id = request.id;
  return scope;
}

function overridden(root: Graph, request: Request): Graph {
  return root.createScope().override("request", request);
}

function runner(strict: boolean, enter: (root: Graph, request: Request) => Graph, release: boolean): ScopeRunner {
  const root = graph(strict);
  return {
    sync: (request) => {
      const scope = enter(root, request);
      const page = scope.get("page");
      if (release) scope[Symbol.dispose]();
      return page;
    },
    hold: (request) => {
      const scope = enter(root, request);
      return [scope, scope.get("page")];
    },
  };
}

export const variants: readonly ScopeVariant[] = [
  { name: "InferDI, holder (default)", open: () => runner(true, filled, true) },
  { name: "InferDI, override", open: () => runner(true, overridden, true) },
  { name: "InferDI, strict off", open: () => runner(false, filled, true) },
  { name: "InferDI, strict off, never disposed", open: () => runner(false, filled, false) },
];

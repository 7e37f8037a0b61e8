import { Container } from "@inferdi/inferdi";
import type { Arm } from "../../arms/arm.ts";
import { type Server, serving } from "../serving.ts";
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

function runner(strict: boolean, release: boolean): Server {
  const root = graph(strict);
  return {
    sync: (request) => {
      const scope = filled(root, request);
      const page = scope.get("page");
      if (release) scope[Symbol.dispose]();
      return page;
    },
    hold: (request) => {
      const scope = filled(root, request);
      return [scope, scope.get("page")];
    },
  };
}

export const arms: readonly Arm[] = [
  { name: "InferDI, holder (default)", kind: "scope", open: () => serving(runner(true, true)) },
  { name: "InferDI, strict off, never disposed", kind: "scope", open: () => serving(runner(false, false)) },
];

import type { Arm } from "../../arms/arm.ts";
import { serving } from "../serving.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

function handWritten(settings: Settings): (request: Request) => Page {
  return (request) => {
    const trace = new Trace(request, settings);
    const access = new Access(new User(trace), new Tenant(trace));
    return new Page(new Cart(new Orders(access), new Stock(access, settings)), request);
  };
}

export const arms: readonly Arm[] = [
  {
    name: "hand-written",
    kind: "scope",
    open() {
      const build = handWritten(new Settings());
      return serving({ sync: build, hold: (request) => [build(request)] });
    },
  },
  {
    name: "hand-written, awaited",
    kind: "scope, awaited",
    open() {
      const build = handWritten(new Settings());
      return serving({ wait: async (request) => build(request) });
    },
  },
];

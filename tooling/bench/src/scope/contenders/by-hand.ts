import type { ScopeVariant } from "../contender.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

function handWritten(settings: Settings): (request: Request) => Page {
  return (request) => {
    const trace = new Trace(request, settings);
    const access = new Access(new User(trace), new Tenant(trace));
    return new Page(new Cart(new Orders(access), new Stock(access, settings)), request);
  };
}

export const variants: readonly ScopeVariant[] = [
  {
    name: "hand-written",
    open: () => {
      const build = handWritten(new Settings());
      return { sync: build, hold: (request) => [build(request)] };
    },
  },
  {
    name: "hand-written, awaited",
    open: () => {
      const build = handWritten(new Settings());
      return { wait: async (request) => build(request) };
    },
  },
];

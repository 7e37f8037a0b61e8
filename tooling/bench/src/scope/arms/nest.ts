import "reflect-metadata";
import { ContextIdFactory, NestFactory, REQUEST } from "@nestjs/core";
import { Inject, Injectable, Module, Scope, type INestApplicationContext } from "@nestjs/common";
import type { Arm } from "../../arms/arm.ts";
import { type Server, serving } from "../serving.ts";
import { Access, Cart, Orders, Page, Settings, Stock, Tenant, Trace, User, type Request } from "../graph.ts";

type Class = new (...args: never[]) => object;

const graph: readonly (readonly [Class, readonly (Class | string)[]])[] = [
  [Trace, [REQUEST, Settings]],
  [User, [Trace]],
  [Tenant, [Trace]],
  [Access, [User, Tenant]],
  [Orders, [Access]],
  [Stock, [Access, Settings]],
  [Cart, [Orders, Stock]],
  [Page, [Cart, REQUEST]],
];

class AppModule {
  readonly name = "bench";
}

async function application(): Promise<INestApplicationContext> {
  for (const [target, tokens] of graph) {
    tokens.forEach((token, i) => Inject(token)(target, undefined, i));
    Injectable({ scope: Scope.REQUEST })(target);
  }
  Injectable()(Settings);
  Module({ providers: [Settings, ...graph.map(([target]) => target)] })(AppModule);
  return NestFactory.createApplicationContext(AppModule, { logger: false });
}

async function runner(select: boolean, needsTurns: boolean): Promise<Server> {
  const app = await application();
  const from = select ? app.select(AppModule) : app;
  const enter = (request: Request): ReturnType<typeof ContextIdFactory.create> => {
    const id = ContextIdFactory.create();
    app.registerRequestByContextId(request, id);
    return id;
  };
  return {
    needsTurns,
    wait: (request) => from.resolve(Page, enter(request), { strict: select }),
    // Nest keeps what a request made for as long as its context id lives.
    hold: async (request) => {
      const id = enter(request);
      return [id, await from.resolve(Page, id, { strict: select })];
    },
  };
}

export const arms: readonly Arm[] = [
  { name: "NestJS (default)", kind: "scope, awaited", open: async () => serving(await runner(false, false)) },
  {
    name: "NestJS, strict in one module, loop turns",
    kind: "scope, awaited",
    open: async () => serving(await runner(true, true)),
  },
];

import "reflect-metadata";
import { Inject, Module, type INestApplicationContext, type Provider } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { LifeNode } from "../graph.ts";
import type { Life, LifeContender, Recorder } from "../recorder.ts";

/** Runs an application of these providers. */
function application(providers: Provider[]): Life {
  class AppModule {
    readonly name = "bench";
  }
  Module({ providers })(AppModule);
  let app: INestApplicationContext | undefined;
  return {
    start: async () =>
      (app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false })),
    stop: async () => app?.close(),
  };
}

/** The hooks onModuleInit and onModuleDestroy. */
function hooks(recorder: Recorder): Life {
  const { graph } = recorder;
  return application(graph.map((node) => ({ provide: node.name, useClass: hooked(recorder, node) })));
}

function hooked(recorder: Recorder, node: LifeNode) {
  class Resource {
    onModuleInit(): Promise<unknown> {
      return recorder.start(node);
    }
    onModuleDestroy(): Promise<void> {
      return recorder.stop(node);
    }
  }
  node.needs.forEach((need, i) => Inject(recorder.graph[need]?.name ?? "")(Resource, undefined, i));
  return Resource;
}

/** Asynchronous providers, which start as soon as what they need is there; a hook of theirs stops. */
function factories(recorder: Recorder): Life {
  const { graph } = recorder;
  return application(
    graph.map((node) => ({
      provide: node.name,
      inject: node.needs.map((need) => graph[need]?.name ?? ""),
      useFactory: async () => {
        const thing = await recorder.start(node);
        return { ...thing, onModuleDestroy: () => recorder.stop(node) };
      },
    })),
  );
}

export const contenders: readonly LifeContender[] = [
  { name: "NestJS, hooks", make: hooks },
  { name: "NestJS, async factories", make: factories },
];

import "reflect-metadata";
import { Module, type INestApplicationContext, type Provider } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
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

export const contenders: readonly LifeContender[] = [{ name: "NestJS, async factories", make: factories }];

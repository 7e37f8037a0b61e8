import type { ReplacementFor, ReplacementReach } from "@steward/container/framework";
import type { Definition } from "@steward/core";
import { isDefinition, type AnyDefinition } from "@steward/core/container";
import { assertShape, recognised } from "@steward/core/driver";
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";

/** A definition and what stands in for it. */
export interface Replacement {
  readonly definition: AnyDefinition;
  readonly by: unknown;
}

/**
 * Replaces a definition in a test: by a value of its type, or by a definition, which may wrap the original by needing it.
 * @throws {OPTIONS_INVALID} when what it is to replace is no definition, most often for want of an import.
 */
export function override<V, R extends string, O extends string>(
  definition: Definition<V, R, O>,
  by: NoInfer<V> | Definition<NoInfer<V>, ReplacementReach<NoInfer<R>>, string>,
): Replacement;
/** The same for what lives shorter than what it replaces, which the compiler refuses in words. */
export function override<V, R extends string, O extends string, D extends AnyDefinition>(
  definition: Definition<V, R, O>,
  by: NoInfer<V> | (D & ReplacementFor<NoInfer<V>, NoInfer<R>, D>), // for its messages: the last overload is what the compiler speaks of
): Replacement;
/** What both forms do. */
export function override(definition: AnyDefinition, by: unknown): Replacement {
  assertShape("override", recognised(isDefinition, "a definition"), definition);
  return { definition, by };
}

/** What a test asks an app. */
export type Ask = Omit<InjectOptions, "method" | "url" | "path">;

/** Asks an app without a socket, with dependencies replaced. */
export class TestClient implements AsyncDisposable {
  readonly app: FastifyInstance;

  /** @internal `testClient(app)` makes it. */
  constructor(app: FastifyInstance) {
    this.app = app;
  }

  /** Any request. */
  inject(options: InjectOptions): Promise<LightMyRequestResponse> {
    return this.app.inject(options);
  }

  /** A GET. */
  get(url: string, ask: Ask = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ ...ask, method: "GET", url });
  }

  /** A POST. @param payload JSON, unless the headers say otherwise. */
  post(url: string, payload?: Ask["payload"], ask: Ask = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ ...ask, method: "POST", url, ...(payload === undefined ? {} : { payload }) });
  }

  /** A PUT. */
  put(url: string, payload?: Ask["payload"], ask: Ask = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ ...ask, method: "PUT", url, ...(payload === undefined ? {} : { payload }) });
  }

  /** A PATCH. */
  patch(url: string, payload?: Ask["payload"], ask: Ask = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ ...ask, method: "PATCH", url, ...(payload === undefined ? {} : { payload }) });
  }

  /** A DELETE. */
  delete(url: string, ask: Ask = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ ...ask, method: "DELETE", url });
  }

  /** Replaces dependencies for requests that come from now on; disposing takes it back. Resources that have started stay. */
  override(...replacements: readonly Replacement[]): Disposable {
    const { running } = this.app.steward;
    if (running === undefined)
      throw new Error("the app is not ready: give replacements to testClient(app, ...) instead");
    const restores = replacements.map(({ definition, by }) => running.override(definition, by as never)); // `override` has checked the types
    return { [Symbol.dispose]: () => restores.reverse().forEach((restore) => restore[Symbol.dispose]()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
  }
}

/**
 * Gets an app ready with dependencies replaced, application resources too: what only the replaced ones needed is not
 * started. Disposing closes the app.
 *
 * @example
 * ```ts
 * import { fastify } from "fastify";
 * import { resource } from "@steward/core";
 * import { container } from "@steward/container";
 * import { handler, steward } from "@steward/fastify";
 * import { override, testClient } from "@steward/fastify/testing";
 * const users = resource("users", { start: () => ({ count: (): number => 3 }) });
 * const app = fastify();
 * app.register(steward, { container: container([users]) });
 * app.after(() => app.get("/", handler({ users }, ({ users }) => ({ users: users.count() }))));
 * await using client = await testClient(app, override(users, { count: () => 7 }));
 * console.log((await client.get("/")).body); // => {"users":7}
 * ```
 */
export async function testClient(app: FastifyInstance, ...replacements: readonly Replacement[]): Promise<TestClient> {
  await app.after();
  if (replacements.length > 0) replaceAll(app, replacements);
  await app.ready();
  return new TestClient(app);
}

function replaceAll(app: FastifyInstance, replacements: readonly Replacement[]): void {
  const replaced = app.steward.replaceContainer((container) => {
    let changed = container;
    for (const { definition, by } of replacements) changed = changed.override(definition, by as never); // `override` has checked the types
    return changed;
  });
  if (!replaced)
    throw new Error(
      "the container of this app runs already: override it before it starts, or use client.override(...)",
    );
}

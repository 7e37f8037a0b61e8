import { createParamDecorator, Res, type Type } from "@nestjs/common";
import { ROUTE_ARGS_METADATA, RouteParamtypes } from "@nestjs/common/internal";
import type { ScopeNeeds } from "@steward/container/framework";
import type { InputDefinition, ValueOf } from "@steward/core";
import type { Need, Needs as AnyNeeds, ValuesOf } from "@steward/core/container";
import {
  from as anyFrom,
  handlerSpec,
  type AnyHandler,
  type From,
  type HandlerOptions,
  type Provided,
} from "@steward/server";
import { marked } from "@steward/server/node";
import type { Request, Response } from "express";

/** What {@link from} holds: what a request of any server has, with the types of Express. */
export interface NestFrom extends Omit<From, "request" | "reply"> {
  /** The request itself. */
  readonly request: InputDefinition<Request, "request", "request:request">;
  /** The response, for dependencies that set headers or a status. What the method sets later wins. */
  readonly reply: InputDefinition<Response, "request", "request:reply">;
}

/**
 * Everything that comes from a request, as needs.
 *
 * @example
 * ```ts
 * import { from } from "@steward/nest";
 * const limit = from.query("limit", { type: "integer", minimum: 1, maximum: 100, default: 20 });
 * console.log(limit.is(5).value); // => 5
 * ```
 */
export const from: NestFrom = anyFrom as never; // the life of a request of Express's gives Express's

/**
 * The token under which Nest injects what a definition makes: `@Inject(token(users)) users: Users`. It is the definition
 * itself, so that another one of the same name is not mistaken for it.
 */
export function token<N extends Need>(need: N): Type<ValueOf<N>> {
  return need as never; // Nest compares tokens and prints their names; the type is for `app.get(token(users))`
}

const VALUES = Symbol.for("steward.nest.values");

/** Notes the values of a method's needs, for its first parameter. */
export function giveValues(request: object, values: unknown): void {
  Object.assign(request, { [VALUES]: values });
}

const Values = createParamDecorator((_data, context) => {
  return context.switchToHttp().getRequest<{ readonly [VALUES]?: unknown }>()[VALUES];
});

/** A decorator of a method whose first parameter takes these values. */
type MethodWith<Values> = <M extends (values: Values, ...rest: never[]) => unknown>(
  prototype: object,
  name: string | symbol,
  method: TypedPropertyDescriptor<M>,
) => void;

/**
 * Gives a method of a controller its dependencies as the first parameter: application resources, what is made for each
 * request, and inputs of the request, in one graph. What it returns, and what interceptors make of that, is the answer:
 * text, bytes, a stream, a `Response`, a `StreamableFile`, and anything else as JSON. Other parameters are Nest's:
 * `@Param`, `@Body` and so on; a method that takes `@Res` may answer itself, which is sent before the commit.
 *
 * Guards come before the needs. Errors are answered as problems, and do not reach exception filters.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {NEED_INVALID} when a need is no definition, most often for want of an import.
 *
 * @example
 * ```ts
 * import { Controller, Get } from "@nestjs/common";
 * import { from, Needs } from "@steward/nest";
 * @Controller()
 * class Hello {
 *   @Get("hello")
 *   @Needs({ name: from.query("name") })
 *   hello({ name }: { name: string }) {
 *     return { hello: name };
 *   }
 * }
 * console.log(new Hello().hello({ name: "ann" })); // => { hello: 'ann' }
 * ```
 */
export function Needs<const N extends AnyNeeds>(
  needs: N & ScopeNeeds<N, Provided>,
  options: HandlerOptions<ValuesOf<N>> = {},
): MethodWith<ValuesOf<N>> {
  handlerSpec(needs, unbound, options); // what is wrong is said where it stands
  return (prototype, name, { value: method }) => {
    const parameters = parametersOf(prototype, name);
    const answersItself = parameters.some(({ type }) => ANSWERING.has(type));
    // One with a third parameter may answer by it, later.
    const answer: AnyHandler = answersItself ? (_values, _request, _reply) => undefined : unbound;
    marked(method as Function, handlerSpec(needs, answer, options)); // a method is a function
    Values()(prototype, name, 0);
    const last = Math.max(0, ...parameters.map(({ index }) => index));
    Res()(prototype, name, last + 1); // Nest sends nothing of what a method with it returns
  };
}

const ANSWERING = new Set<number>([RouteParamtypes.RESPONSE, RouteParamtypes.NEXT]);

/** Stands for the method until there is a controller whose method it is. */
const unbound: AnyHandler = () => undefined;

interface Parameter {
  readonly type: number;
  readonly index: number;
}

/** The parameters of a method that have decorators. */
function parametersOf(prototype: object, name: string | symbol): readonly Parameter[] {
  const known: Readonly<Record<string, { readonly index: number }>> =
    Reflect.getMetadata(ROUTE_ARGS_METADATA, prototype.constructor, name) ?? {};
  return Object.entries(known).map(([key, { index }]) => ({ type: Number.parseInt(key, 10), index }));
}

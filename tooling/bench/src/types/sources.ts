// Programs of n resources, each of which needs two earlier ones, as one would write them with each container.

/** How the resources of a program need each other. */
export type Edges = "plain" | "mixed";

const KINDS = ["", "optional", "lazy", "fresh", "current", "when"] as const;

/** The value type of a resource, the same everywhere. */
export function valueOf(index: number): string {
  return `{ n${index}: [string, string]; }`;
}

/** Ours. `mixed` takes all kinds of edges in turn; `cached` is for scopes, so every seventh resource lives in a request. */
export function steward(count: number, edges: Edges): string {
  const imports = edges === "mixed" ? "cached, current, fresh, lazy, optional, resource, when" : "resource";
  const lines = [
    `import { ${imports} } from "@steward/core";`,
    'export const flag = resource("flag", { start: (): boolean => true });',
  ];
  for (let i = 0; i < count; i++) {
    const [first, second] = [held(i - 1, edges), held(i - 2, edges)];
    if (i < 2)
      lines.push(`export const r${i} = resource("r${i}", { start: (): ${valueOf(i)} => ({ n${i}: ["", ""] }) });`);
    else if (edges === "mixed" && isRequest(i))
      lines.push(resourceOf(i, `cached(r${first}, { ttlMs: 1000 })`, `r${second}`, 'lifetime: "request", '));
    else lines.push(resourceOf(i, need(first, i, edges), need(second, i + 3, edges)));
  }
  return `${lines.join("\n")}\n`;
}

/** An application resource cannot need one of a request, so it needs the one before. */
function held(index: number, edges: Edges): number {
  return edges === "mixed" && isRequest(index) ? index - 1 : index;
}

function isRequest(index: number): boolean {
  return index % 7 === 6;
}

function resourceOf(i: number, a: string, b: string, lifetime = ""): string {
  const value = `({ n${i}: [typeof a, typeof b] as [string, string] })`;
  return `export const r${i} = resource("r${i}", { ${lifetime}needs: { a: ${a}, b: ${b} }, start: ({ a, b }) => ${value} });`;
}

function need(index: number, turn: number, edges: Edges): string {
  const kind = edges === "mixed" ? KINDS[turn % KINDS.length] : "";
  if (kind === "when") return `when(flag, r${index}, r${index})`;
  return kind === "" || kind === undefined ? `r${index}` : `${kind}(r${index})`;
}

/** awilix: its chain of registrations, from which it infers the cradle. */
export function awilix(count: number): string {
  const lines = ['import { asFunction, createContainer } from "awilix";', "export const container = createContainer()"];
  for (let i = 0; i < count; i++) {
    const needs =
      i < 2 ? "" : `{ r${i - 1}, r${i - 2} }: { r${i - 1}: ${valueOf(i - 1)}; r${i - 2}: ${valueOf(i - 2)} }`;
    const body = i < 2 ? '["", ""]' : `[typeof r${i - 1}, typeof r${i - 2}]`;
    lines.push(`  .register({ r${i}: asFunction((${needs}): ${valueOf(i)} => ({ n${i}: ${body} })).singleton() })`);
  }
  return `${lines.join("\n")};\n`;
}

/** Effect: a service and a layer for each. */
export function effect(count: number): string {
  const lines = ['import { Context, Effect, Layer } from "effect";'];
  for (let i = 0; i < count; i++) {
    lines.push(`export class R${i} extends Context.Service<R${i}, ${valueOf(i)}>()("r${i}") {}`);
    if (i < 2) lines.push(`export const l${i} = Layer.succeed(R${i}, { n${i}: ["", ""] });`);
    else
      lines.push(
        `export const l${i} = Layer.effect(R${i}, Effect.gen(function* () { const a = yield* R${i - 1}; const b = yield* R${i - 2}; return { n${i}: [typeof a, typeof b] as [string, string] }; })).pipe(Layer.provide([l${i - 1}, l${i - 2}]));`,
      );
  }
  return `${lines.join("\n")}\n`;
}

/** InferDI: its chain, by classes or by factories. */
export function inferdi(count: number, by: "class" | "factory"): string {
  const lines = ['import { Container } from "@inferdi/inferdi";'];
  if (by === "class")
    for (let i = 0; i < count; i++)
      lines.push(
        `export class R${i} { readonly n${i}: [string, string] = ["", ""]; ${i < 2 ? "" : `constructor(readonly a: R${i - 1}, readonly b: R${i - 2}) {}`} }`,
      );
  lines.push("export const container = new Container()");
  for (let i = 0; i < count; i++) {
    if (by === "class") lines.push(`  .registerClass("r${i}", R${i}, [${i < 2 ? "" : `"r${i - 1}", "r${i - 2}"`}])`);
    else if (i < 2) lines.push(`  .registerFactory("r${i}", (): ${valueOf(i)} => ({ n${i}: ["", ""] }))`);
    else
      lines.push(
        `  .registerFactory("r${i}", (c) => ({ n${i}: [typeof c.get("r${i - 1}"), typeof c.get("r${i - 2}")] as [string, string] }))`,
      );
  }
  return `${lines.join("\n")};\n`;
}

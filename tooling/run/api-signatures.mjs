import { join } from "node:path";
import ts from "typescript-js";

/**
 * What packages export: by package, entry point and name, each as TypeScript prints its declarations, without comments.
 * What they mention of the package and is not exported stands with them as `(not exported)`: it can break users too.
 */
export function signaturesOf(packs) {
  const entries = packs.flatMap(({ name, directory, manifest }) =>
    Object.entries(manifest.exports)
      .filter(([, entry]) => entry.types !== undefined)
      .map(([path, { types }]) => ({
        name,
        directory,
        entry: `${name}${path.slice(1)}`,
        file: join(directory, types),
      })),
  );
  const options = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ["lib.esnext.d.ts"],
    types: [],
  };
  const program = ts.createProgram(
    entries.map(({ file }) => file),
    options,
  );
  const checker = program.getTypeChecker();
  const found = Object.fromEntries(packs.map(({ name }) => [name, {}]));
  const shownIn = new Map();
  for (const { name, directory, entry, file } of entries) {
    const source = program.getSourceFile(file);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${entry} exports nothing: ${file}`);
    found[name][entry] = entrySignatures(checker, module, { dist: join(directory, "dist/"), entry, shownIn });
  }
  return found;
}

/** `shownIn` says in which entry of a package a declaration stands already: the others refer to it. */
function entrySignatures(checker, module, { dist, entry, shownIn }) {
  const exported = checker.getExportsOfModule(module).map((symbol) => [symbol.name, resolved(checker, symbol)]);
  const found = exported.map(([name, symbol]) => {
    const other = shownIn.get(symbol);
    return [name, other === undefined ? textOf(symbol, dist) : `as in ${other}`];
  });
  const queue = new Set(exported.map(([, symbol]) => symbol).filter((symbol) => !shownIn.has(symbol)));
  for (const symbol of queue) shownIn.set(symbol, entry);
  for (const symbol of queue) {
    for (const other of mentioned(checker, symbol, dist)) {
      if (shownIn.has(other)) continue;
      shownIn.set(other, entry);
      queue.add(other); // the loop comes to it too
      found.push([`${other.name} (not exported)`, textOf(other, dist)]);
    }
  }
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function resolved(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

const printer = ts.createPrinter({ removeComments: true });

function textOf(symbol, dist) {
  const own = ownDeclarations(symbol, dist);
  if (own.length === 0) {
    const file = symbol.declarations?.[0]?.getSourceFile().fileName ?? "";
    return `of ${/packages\/([\w-]+)\/dist\//.exec(file)?.[1] ?? /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? "elsewhere"}`;
  }
  return own
    .map((node) => printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()))
    .map((text) => text.replaceAll(/^export |\bdeclare /gm, "").replaceAll(/\n\s*\n/g, "\n"))
    .join("\n");
}

function ownDeclarations(symbol, dist) {
  return (symbol.declarations ?? [])
    .filter((node) => node.getSourceFile().fileName.startsWith(dist) && !ts.isTypeParameterDeclaration(node))
    .map((node) => (ts.isVariableDeclaration(node) ? node.parent.parent : node));
}

/** Symbols of the same package's top level that the declarations of a symbol name. */
function mentioned(checker, symbol, dist) {
  const found = new Set();
  const walk = (node) => {
    if (ts.isIdentifier(node)) {
      const other = checker.getSymbolAtLocation(node);
      const target = other === undefined ? undefined : resolved(checker, other);
      if (target !== undefined && ownDeclarations(target, dist).some((d) => ts.isSourceFile(d.parent)))
        found.add(target);
    }
    node.forEachChild(walk);
  };
  for (const node of ownDeclarations(symbol, dist)) walk(node);
  return found;
}

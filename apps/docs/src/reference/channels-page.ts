import ts from "typescript-js";
import { cell, treesOf, wordsOf } from "./sources.ts";

interface Channel {
  readonly key: string;
  readonly name: string;
  readonly words: string;
  readonly event: string;
}

/** The channels of `node:diagnostics_channel`, and what their events carry. */
export function channelsPage(): string {
  const trees = treesOf("core");
  const channels = trees.filter(({ fileName }) => fileName === "channels.ts").flatMap(channelsOf);
  if (channels.length === 0) throw new Error("core declares no channel");
  const events = interfacesOf(trees);
  const rows = channels.map(({ key, name, words, event }) => {
    const cited = event === "" ? "" : `[\`${event}\`](#${event.toLowerCase()})`;
    return `| \`${key}\` | \`${name}\` | ${cell(words.replace(/: `\w+`\.?/, "."))} | ${cited} |`;
  });
  const details = [...new Set(channels.map((c) => c.event))].flatMap((name) => eventPart(events.get(name), name));
  return `# Events

Steward publishes on \`node:diagnostics_channel\`, under the names in \`CHANNELS\` of \`@steward/core\`. Without a subscriber an event
is not even made. A program that subscribes is in the [reference of the container](/packages/container-reference#events).

| key | channel | when | event |
|---|---|---|---|
${rows.join("\n")}

${details.join("\n")}`;
}

function channelsOf(tree: ts.SourceFile): Channel[] {
  const found: Channel[] = [];
  const walk = (node: ts.Node): void => {
    if (ts.isPropertyAssignment(node) && ts.isStringLiteralLike(node.initializer)) {
      const words = wordsOf(node);
      const event = /`(\w+)`/.exec(words)?.[1] ?? "";
      found.push({ key: node.name.getText(), name: node.initializer.text, words, event });
    }
    node.forEachChild(walk);
  };
  const table = tree.statements.find((s) => s.getText().startsWith("export const CHANNELS"));
  if (table !== undefined) walk(table);
  return found;
}

function interfacesOf(trees: readonly ts.SourceFile[]): Map<string, ts.InterfaceDeclaration> {
  const all = trees.flatMap((tree) => tree.statements.filter(ts.isInterfaceDeclaration));
  return new Map(all.map((declaration) => [declaration.name.text, declaration]));
}

function eventPart(declaration: ts.InterfaceDeclaration | undefined, name: string): string[] {
  if (declaration === undefined) return name === "" ? [] : [`### ${name}\n\nIn the types.\n`];
  const rows = declaration.members
    .filter(ts.isPropertySignature)
    .map(
      (m) =>
        `| \`${m.name.getText()}\` | \`${cell(m.type?.getText().replaceAll(/\s+/g, " ") ?? "unknown")}\` | ${cell(wordsOf(m))} |`,
    );
  const base = declaration.heritageClauses?.[0]?.types[0]?.getText();
  const also =
    base === undefined ? "" : ` It carries what \`${base}\` has, too: \`container\`, \`time\`, \`sequence\`.`;
  return [
    `### ${name}\n\n${wordsOf(declaration)}${also}\n\n| field | type | meaning |\n|---|---|---|\n${rows.join("\n")}\n`,
  ];
}

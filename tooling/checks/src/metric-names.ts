import ts from "typescript-js";
import { count, sawNothing, type Check } from "./check.ts";
import { placeOf } from "./imports.ts";
import { libraries, type Package, type SourceFile } from "./workspace.ts";

const kinds = new Set(["counter", "gauge", "histogram"]);

/** A series that a source yields: an object with a `name` and a `kind`. */
interface Sample {
  readonly name: string;
  readonly kind: string;
  readonly at: string;
}

/** Metrics are equal in the sources that yield them, in telemetry's table, and in telemetry's README. */
export const metricNames: Check = {
  name: "metric names in source = table = docs",
  run(workspace) {
    const telemetry = workspace.packages.find((p) => p.short === "telemetry");
    const table = telemetry === undefined ? new Map<string, string>() : tableOf(telemetry);
    const documented = documentedIn(telemetry?.readme ?? "");
    const samples = libraries(workspace).flatMap((p) => p.sources.flatMap(samplesOf));
    const yielded = new Set(samples.map(({ name }) => name));
    return {
      saw: `${count(samples.length, "sample")} of ${count(table.size, "metric")}`,
      problems: [
        ...sawNothing(samples.length, "series"),
        ...sawNothing(table.size, "metric"),
        ...samples.flatMap(({ name, kind, at }) => {
          const known = table.get(name);
          if (known === kind) return [];
          return [
            `${at}: ${name} is a ${kind}, which METRICS of telemetry ${known === undefined ? "does not know" : `has as a ${known}`}`,
          ];
        }),
        ...[...table.keys()].filter((n) => !yielded.has(n)).map((n) => `METRICS has ${n}, which no source yields`),
        ...[...table].flatMap(([name, kind]) =>
          documented.get(name) === kind ? [] : [`README.md of telemetry has no ${kind} ${name} in its table`],
        ),
        ...[...documented.keys()]
          .filter((n) => !table.has(n))
          .map((n) => `README.md of telemetry has ${n}, which METRICS has not`),
      ],
    };
  },
};

function samplesOf(file: SourceFile): Sample[] {
  const found: Sample[] = [];
  const walk = (node: ts.Node): void => {
    if (ts.isObjectLiteralExpression(node)) {
      const [name, kind] = [textOf(node, "name", file), textOf(node, "kind", file)];
      if (name !== undefined && kind !== undefined && kinds.has(kind))
        found.push({ name, kind, at: placeOf(file, node) });
    }
    ts.forEachChild(node, walk);
  };
  walk(file.tree);
  return found;
}

function textOf(object: ts.ObjectLiteralExpression, property: string, file: SourceFile): string | undefined {
  const found = object.properties.find((p) => p.name?.getText(file.tree) === property);
  return found !== undefined && ts.isPropertyAssignment(found) && ts.isStringLiteralLike(found.initializer)
    ? found.initializer.text
    : undefined;
}

/** The entries of the tables that make `METRICS`: name and kind. */
function tableOf({ sources }: Package): Map<string, string> {
  const table = new Map<string, string>();
  for (const file of sources.filter((s) => s.path.includes("/src/metrics/"))) {
    const walk = (node: ts.Node): void => {
      if (ts.isPropertyAssignment(node) && ts.isObjectLiteralExpression(node.initializer)) {
        const kind = textOf(node.initializer, "kind", file);
        const name = ts.isStringLiteralLike(node.name) ? node.name.text : node.name.getText(file.tree);
        if (kind !== undefined) table.set(name, kind);
      }
      ts.forEachChild(node, walk);
    };
    walk(file.tree);
  }
  return table;
}

/** Names in the first column of the table below "## Metrics", with the kind in the second. */
function documentedIn(readme: string): Map<string, string> {
  const section = /^## Metrics$([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(readme)?.[1] ?? "";
  const rows = section.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  return new Map(
    rows.flatMap(([, names = "", kind = ""]) =>
      [...names.matchAll(/`([^`]+)`/g)].map((m) => [m[1] ?? "", kind] as const),
    ),
  );
}

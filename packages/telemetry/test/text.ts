/** One line of the text format, read back. */
export interface Line {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a text says: its samples, and its HELP and TYPE lines by name. */
export interface Read {
  readonly lines: readonly Line[];
  readonly types: ReadonlyMap<string, string>;
  readonly help: ReadonlyMap<string, string>;
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/;

/**
 * Reads the text format as a Prometheus server does, and throws where that would refuse it: a line of another form, a
 * sample away from its family, the same series twice, a second TYPE, a last line without its end.
 */
export function readText(text: string): Read {
  const [types, help, seen] = [new Map<string, string>(), new Map<string, string>(), new Set<string>()];
  const lines: Line[] = [];
  const rows = text.split("\n");
  if (rows.pop() !== "") throw new Error("the last line has no end");
  let family = "";
  for (const row of rows) {
    const [, hash, name = "", words = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(row) ?? [];
    if (hash !== undefined) {
      const map = hash === "HELP" ? help : types;
      if (map.has(name)) throw new Error(`${hash} of ${name} twice`);
      map.set(name, hash === "HELP" ? unescaped(words) : words);
      family = name;
      continue;
    }
    const line = sampleOf(row);
    const own = types.get(family) === "histogram" ? line.name.replace(/_(?:bucket|sum|count)$/, "") : line.name;
    if (own !== family) throw new Error(`${row} stands with ${family}`);
    const key = line.name + JSON.stringify(Object.entries(line.labels).sort());
    if (seen.has(key)) throw new Error(`${row} twice`);
    seen.add(key);
    lines.push(line);
  }
  return { lines, types, help };
}

function sampleOf(row: string): Line {
  const found = SAMPLE.exec(row);
  if (found === null) throw new Error(`not a line of the format: ${row}`);
  const [, name = "", labels = "", value = ""] = found;
  const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(
    ([, label = "", text = ""]) => [label, unescaped(text)] as const,
  );
  return {
    name,
    labels: Object.fromEntries(pairs),
    value: value === "+Inf" ? Infinity : value === "-Inf" ? -Infinity : Number(value),
  };
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, letter: string) => (letter === "n" ? "\n" : letter));
}

/** All parts of a text in one. */
export async function whole(parts: AsyncIterable<string>): Promise<string> {
  let text = "";
  for await (const part of parts) text += part;
  return text;
}

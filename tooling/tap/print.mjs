import { inSources } from "./sources.mjs";

const SIGNS = { passed: "  ok     ", failed: "  FAILED ", skipped: "  skipped" };

/** One line for a case, without the file's name. */
export function caseLine({ kind, path }) {
  return `${SIGNS[kind]} ${path.slice(1).join(" > ") || path[0]}`;
}

/** One line for a file. */
export function fileLine({ ok, file, ms, cpuMs = 0 }) {
  return `${ok ? "ok    " : "FAILED"} ${file} (${(ms / 1000).toFixed(1)} s, CPU ${(cpuMs / 1000).toFixed(1)} s)`;
}

/** What tap says of a failed case: where, the difference, the stack. */
export function failureBlock({ path, result }) {
  const { at, diff, source, stack, found, wanted, ...rest } = result.diag ?? {};
  const lines = [`FAIL ${path.join(" > ")}`, `  ${result.name}`];
  if (at) lines.push(`  at ${at.fileName}:${at.lineNumber}:${at.columnNumber ?? 0}`);
  for (const text of [diff, source, stack]) if (text) lines.push(indented(text));
  if (!diff && (found !== undefined || wanted !== undefined)) {
    lines.push(indented(`found:  ${JSON.stringify(found)}\nwanted: ${JSON.stringify(wanted)}`));
  }
  if (Object.keys(rest).length > 0) lines.push(indented(JSON.stringify(rest, undefined, 2)));
  return `${inSources(lines.join("\n"))}\n`;
}

function indented(text) {
  return text.trimEnd().replace(/^/gm, "    ");
}

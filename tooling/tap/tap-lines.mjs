// Reads the TAP text that tap prints. A case is a subtest without subtests of its own, so that a
// file's groups and the single assertions are not counted.

const point = /^( *)(not )?ok \d+(?: - (.*?))?(?: # (?!time=)(\w+).*?)?(?: # time=.*)?$/;
const start = /^( *)# Subtest: (.*)$/;

/** Counts the cases of a TAP document: passed, failed and skipped. */
export function readTap(text) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { kind } of cases(text)) counts[kind] += 1;
  return counts;
}

/** One printable block for every failed case: its path and what tap says of it. */
export function failuresOf(text) {
  const blocks = [];
  for (const item of cases(text)) {
    if (item.kind !== "failed") continue;
    blocks.push(`FAIL ${item.path.join(" > ")}\n${item.lines.join("\n")}\n`);
  }
  return blocks;
}

function* cases(text) {
  const open = [];
  for (const line of text.split("\n")) {
    const opened = start.exec(line);
    if (opened) {
      const parent = open.at(-1);
      if (parent) parent.leaf = false;
      open.push({ indent: opened[1].length, name: opened[2], leaf: true, lines: [] });
      continue;
    }
    const result = point.exec(line);
    const top = open.at(-1);
    if (result && top && result[1].length === top.indent) {
      open.pop();
      const path = [...open.map((o) => o.name), top.name];
      const failed = result[2] !== undefined;
      // A group that failed by itself (a timeout, a missing plan) has no failing case below it.
      if (top.leaf || (failed && !top.failedBelow)) yield { kind: kindOf(result), path, lines: top.lines };
      if (failed) for (const o of open) o.failedBelow = true;
      continue;
    }
    top?.lines.push(line);
  }
  for (const top of open.slice(-1)) yield { kind: "failed", path: open.map((o) => o.name), lines: top.lines };
}

function kindOf(result) {
  if (/^(skip|todo)$/i.test(result[4] ?? "")) return "skipped";
  return result[2] === undefined ? "passed" : "failed";
}

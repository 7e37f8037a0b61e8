import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";

const home = join(import.meta.dirname, "../..");

function idsOfTests(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "types" ? [] : idsOfTests(path);
    if (!entry.name.endsWith(".test.ts")) return [];
    const titles = [...readFileSync(path, "utf8").matchAll(/t\.test\(\s*["`]((?:[A-Z]\d\d(?:, )?)+):/g)];
    return titles.flatMap(([, ids = ""]) => ids.split(", "));
  });
}

t.test(
  "every row of CONFORMANCE.md is shown by a test that names it, and every such test has a row with a reason where it deviates",
  async (t) => {
    const page = readFileSync(join(home, "CONFORMANCE.md"), "utf8");
    const rows = [...page.matchAll(/^\| ([A-Z]\d\d) \| (as FastAPI|deviates) \| (.*) \|$/gm)].map(
      ([, id = "", here, note = ""]) => ({ id, here, note: note.trim() }),
    );
    t.ok(rows.length > 120);
    t.strictSame(rows.map(({ id }) => id).sort(), [...new Set(idsOfTests(join(home, "test")))].sort());
    t.strictSame(
      rows.filter(({ here, note }) => here === "deviates" && note === ""),
      [],
    );
  },
);

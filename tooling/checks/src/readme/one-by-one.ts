// Runs the programs that are its arguments, and writes for each a line: what it printed, and why it failed, as JSON behind
// a mark, for a program may write to the same descriptor.
import { pathToFileURL } from "node:url";
import { formatWithOptions } from "node:util";
import { OUTCOME, type Outcome } from "./programs.ts";

const report = process.stdout.write.bind(process.stdout);

for (const file of process.argv.slice(2)) report(`\n${OUTCOME}${JSON.stringify(await outcomeOf(file))}\n`);

async function outcomeOf(file: string): Promise<Outcome> {
  let output = "";
  const print = (...values: unknown[]): void => void (output += `${formatWithOptions({ colors: false }, ...values)}\n`);
  Object.assign(console, { log: print, info: print });
  // A program may write to stdout itself.
  process.stdout.write = ((text: unknown) => {
    output += String(text);
    return true;
  }) as typeof process.stdout.write; // of its parameters programs use the first
  try {
    await import(pathToFileURL(file).href);
    return { failure: undefined, output };
  } catch (error) {
    return { failure: "threw", output: `${output}${formatWithOptions({}, error)}` };
  } finally {
    await new Promise((resolve) => setImmediate(resolve)); // what it left behind, such as a rejection, belongs to it
  }
}

// Loaded into each run of a test file. STEWARD_MUTANT picks one mutant; without it, the run writes down which it meets.
import { writeFileSync } from "node:fs";

const { STEWARD_MUTANT: chosen, STEWARD_MUTANTS_MET: output } = process.env;
if (chosen === undefined) {
  const met = new Set();
  globalThis.__mutant = (id) => {
    met.add(id);
    return false;
  };
  process.on("exit", () => writeFileSync(output, JSON.stringify([...met])));
} else {
  const id = Number(chosen);
  globalThis.__mutant = (one) => one === id;
}

// Loaded before everything else: the switches. STEWARD_MUTANT picks one mutant; without it, the run notes which it meets.
const { STEWARD_MUTANT: chosen } = process.env;
const id = Number(chosen);
globalThis.__met = new Set();
globalThis.__mutant =
  chosen === undefined
    ? (one) => {
        globalThis.__met.add(one);
        return false;
      }
    : (one) => one === id;

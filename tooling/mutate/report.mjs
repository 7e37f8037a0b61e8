/** The table of a run: a line for each file, with its score, and the mutants that no test noticed. */
export function report(files) {
  const width = Math.max(4, ...files.map(({ name }) => name.length));
  const line = (name, ...cells) => `${name.padEnd(width)} ${cells.map((c) => String(c).padStart(9)).join(" ")}`;
  const lines = [line("file", "mutants", "killed", "survived", "unreached", "score")];
  for (const file of files) lines.push(line(file.name, ...cellsOf(file.mutants)));
  if (files.length > 1) lines.push(line("all", ...cellsOf(files.flatMap(({ mutants }) => mutants))));
  for (const { name, mutants } of files) {
    for (const mutant of mutants.filter((m) => m.verdict === "survived" || m.verdict === "unreached")) {
      lines.push(
        `  ${mutant.verdict.padEnd(9)} ${name}:${mutant.place}  ${short(mutant.from)}  ->  ${short(mutant.to)}`,
      );
    }
  }
  return lines;
}

function cellsOf(mutants) {
  const count = (...verdicts) => mutants.filter((m) => verdicts.includes(m.verdict)).length;
  const killed = count("killed", "timeout");
  const score = mutants.length === 0 ? "-" : `${((100 * killed) / mutants.length).toFixed(1)} %`;
  return [mutants.length, killed, count("survived"), count("unreached"), score];
}

function short(text) {
  const flat = text.replace(/\s+/g, " ");
  if (flat === "") return "(left out)";
  return flat.length > 70 ? `${flat.slice(0, 67)}...` : flat;
}

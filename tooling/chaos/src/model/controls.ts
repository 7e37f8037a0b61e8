/** Parts of the protocol, taken out of a script: the model has to see that they are missing. */
export const CONTROLS: Readonly<Record<string, (script: string) => string>> = {
  "a put that does not look for its lease": without("if l[1] ~= ARGV[1] and l[2] ~= ARGV[1] then return 0 end"),
  "a look that does not look at tags": (script) =>
    script.replace("if mark and tonumber(mark) > tonumber(e[2])", "if false"),
  "a look that does not look at the floor": without(" and tonumber(e[2]) >= tonumber(m[3])"),
  "a look that does not look at the epoch": without(" and e[3] == m[1]"),
};

function without(part: string) {
  return (script: string): string => script.replace(part, "");
}

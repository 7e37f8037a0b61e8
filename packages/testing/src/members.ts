/** How the client of a manager compares with a raw one of its driver, member by member. */
export interface MemberComparison {
  /** Members of the raw client. */
  readonly compared: number;
  /** Those that are the same there: the driver's own function, or an equal value. */
  readonly equal: number;
  /** Functions of ours in the place of the driver's. */
  readonly replaced: readonly string[];
  /** Members that are missing, are of another type, or have another value. */
  readonly different: readonly string[];
}

/**
 * Walks the public members of a raw client (own ones and those of its prototypes, without names that begin with `_`) and
 * compares each with that of a managed client: is it there, is it the same function, has it an equal value.
 *
 * @param raw A connected client of the driver.
 * @param managed What the manager hands out, connected to the same server.
 * @param ends Where the walk ends: a prototype whose members are not the driver's. Default: `Object.prototype`.
 */
export function compareMembers(raw: object, managed: object, ends: object = Object.prototype): MemberComparison {
  const replaced: string[] = [];
  const different: string[] = [];
  const names = namesOf(raw, ends);
  for (const name of names) {
    const [theirs, ours] = [valueOf(raw, name), valueOf(managed, name)];
    if (typeof theirs === "function" && typeof ours === "function") {
      // A constructor may give each client a function of its own, with the same text.
      if (theirs !== ours && String(theirs) !== String(ours)) replaced.push(name);
    } else if (!isAlike(theirs, ours)) different.push(name);
  }
  const equal = names.length - replaced.length - different.length;
  return { compared: names.length, equal, replaced: replaced.sort(), different: different.sort() };
}

function namesOf(client: object, ends: object): string[] {
  const names = new Set<string>();
  for (let at: object | null = client; at !== null && at !== ends; at = Object.getPrototypeOf(at) as object | null)
    for (const name of Object.getOwnPropertyNames(at))
      if (!name.startsWith("_") && !INHERENT.has(name)) names.add(name);
  return [...names];
}

/** What every function has, where a client is one. */
const INHERENT: ReadonlySet<string> = new Set(["constructor", "length", "name", "prototype", "arguments", "caller"]);

/** A getter may refuse: then that is what it has. */
function valueOf(client: object, name: string): unknown {
  try {
    return Reflect.get(client, name) as unknown;
  } catch (error) {
    return `threw ${String(error)}`;
  }
}

/** Values are compared, objects only in that they are of one kind: a connection of ours is another than theirs. */
function isAlike(theirs: unknown, ours: unknown): boolean {
  if (typeof theirs !== typeof ours) return false;
  if (typeof theirs !== "object" || theirs === null || ours === null) return Object.is(theirs, ours);
  return Object.getPrototypeOf(theirs) === Object.getPrototypeOf(ours);
}

/**
 * The names in the first column of the table below a heading of a README, without parentheses: what it says that differs.
 *
 * @param markdown Text of the README.
 * @param heading The heading without its `#` signs, such as `Differences to pg.Pool`.
 */
export function documentedMembers(markdown: string, heading: string): readonly string[] {
  const [, section = ""] = markdown.split(`## ${heading}\n`);
  const [table = ""] = section.split("\n## ");
  const cells = table.split("\n").flatMap((line) => /^\| (`.*?) \|/.exec(line)?.[1] ?? []);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)/g)].map(([, name = ""]) => name)).sort();
}

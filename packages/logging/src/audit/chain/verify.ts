import { assertShape, func, listOf, recognised, shape, withMethods } from "@steward/core/driver";
import { canonical } from "./canonical.ts";
import { emptyChain, hashOf, type AuditEntry, type AuditHead, type AuditSeal, type StoredEntry } from "./entry.ts";

/** Something that is not as the log wrote it. */
export interface AuditProblem {
  readonly chain: string;
  /** Place of the entry that is wrong, or of the first one that is missing. */
  readonly seq: number;
  /**
   * `changed`: its content is not that of its hash. `unsealed`: its hash is not under the seal. `unlinked`: it does not
   * follow the entry before. `missing`: there is a hole. `cut`: the chain ends too early. `beyond`: it goes on after its
   * end. `rewritten`: it is not the entry that an anchor knows.
   */
  readonly kind: "changed" | "unsealed" | "unlinked" | "missing" | "cut" | "beyond" | "rewritten";
  readonly message: string;
}

/** What a verification found. */
export interface AuditReport {
  /** True when there is no problem. */
  readonly intact: boolean;
  readonly entries: number;
  readonly chains: number;
  /** At most 1,000. */
  readonly problems: readonly AuditProblem[];
  /** Where the chains end: keep them elsewhere, to be given as `anchors` next time. */
  readonly heads: readonly AuditHead[];
}

/** What is compared with the entries. */
export interface VerifyOptions {
  /** The seal under which entries were written. Without it only hashes are checked. */
  readonly seal?: AuditSeal | undefined;
  /** Heads that were kept elsewhere: each must still be there, with the same hash. */
  readonly anchors?: readonly AuditHead[] | undefined;
  /** Where the log itself says that the chains end: asked before the entries are read. */
  readonly ends?: readonly AuditHead[] | undefined;
  /** Where it says so once they are read, for a log that is written to meanwhile. Default: `ends`. */
  readonly endsAfter?: (() => Promise<readonly AuditHead[]>) | undefined;
}

const HEADS = listOf(
  recognised(
    (head) => typeof head === "object" && head !== null && "chain" in head && "seq" in head && "hash" in head,
    "an end of a chain: { chain, seq, hash }",
  ),
);

const VERIFY = shape<VerifyOptions>(() => ({
  seal: withMethods("a keyset of MACs or signatures", "sign", "isValid"),
  anchors: HEADS,
  ends: HEADS,
  endsAfter: func(),
}));

/** The action of the entry that says up to where older ones were removed. */
export const TRIMMED = "audit.trimmed";

const MOST_PROBLEMS = 1_000;

/** What is known of a chain while its entries go by. */
interface Walked {
  head: AuditHead;
  /** Number of the first entry that is left. */
  readonly first: number;
  /** Where entries are missing: the first one, and what the entry after the last one says of that. */
  readonly gaps: { readonly from: number; readonly through: number; readonly hash: string }[];
  /** What the log says that it removed. */
  readonly trimmed: Map<number, unknown>;
}

/**
 * Compares entries with their hashes, their seals, one another, and what is known of their ends.
 * @param entries Those of a chain in order, one chain after the other.
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export async function verifyEntries(
  entries: AsyncIterable<StoredEntry> | Iterable<StoredEntry>,
  options: VerifyOptions = {},
): Promise<AuditReport> {
  assertShape("verifyEntries", VERIFY, options);
  const walk = new Walk(options);
  for await (const entry of entries) await walk.entry(entry);
  return walk.end();
}

class Walk {
  readonly #seal: AuditSeal | undefined;
  readonly #anchors = new Map<string, string>();
  readonly #known: readonly AuditHead[];
  readonly #endsAfter: () => Promise<readonly AuditHead[] | undefined>;
  readonly #chains = new Map<string, Walked>();
  readonly #problems: AuditProblem[] = [];
  #entries = 0;

  constructor({ seal, anchors = [], ends, endsAfter }: VerifyOptions) {
    this.#seal = seal;
    this.#endsAfter = endsAfter ?? (() => Promise.resolve(ends));
    this.#known = [...anchors, ...(ends ?? [])].filter(({ seq }) => seq > 0);
    for (const { chain, seq, hash } of this.#known) this.#anchors.set(`${chain} ${seq}`, hash);
  }

  async entry(stored: StoredEntry): Promise<void> {
    this.#entries += 1;
    const entry = readEntry(stored);
    const chain = this.#chainOf(stored);
    await this.#content(stored, entry);
    this.#place(stored, entry, chain);
    const anchor = this.#anchors.get(`${stored.chain} ${stored.seq}`);
    if (anchor !== undefined && anchor !== stored.hash)
      this.#problem("rewritten", stored, "is not the entry that was anchored");
    if (entry?.action === TRIMMED) chain.trimmed.set(Number(entry.detail?.["through"]), entry.detail?.["hash"]);
    chain.head = { chain: stored.chain, seq: stored.seq, hash: stored.hash };
  }

  async end(): Promise<AuditReport> {
    const ends = await this.#endsAfter();
    for (const { head, gaps, trimmed } of this.#chains.values())
      for (const { from, through, hash } of gaps)
        if (trimmed.get(through) !== hash)
          this.#problem("missing", { chain: head.chain, seq: from }, `to ${through} are missing, and were not trimmed`);
    for (const known of this.#known) this.#isCut(known);
    for (const end of ends ?? []) this.#isBeyond(end);
    if (ends !== undefined) this.#strangers(new Set(ends.map(({ chain }) => chain)));
    const problems = this.#problems;
    const heads = [...this.#chains.values()].map(({ head }) => head);
    return { intact: problems.length === 0, entries: this.#entries, chains: heads.length, problems, heads };
  }

  #chainOf({ chain, seq }: StoredEntry): Walked {
    const known = this.#chains.get(chain);
    if (known !== undefined) return known;
    const walked: Walked = { head: emptyChain(chain), first: seq, gaps: [], trimmed: new Map() };
    this.#chains.set(chain, walked);
    return walked;
  }

  async #content({ text, hash, seal, chain, seq }: StoredEntry, entry: AuditEntry | undefined): Promise<void> {
    const at = { chain, seq };
    if (entry === undefined || hashOf(text) !== hash || entry.chain !== chain || entry.seq !== seq)
      return this.#problem("changed", at, "is not what was recorded");
    if (this.#seal === undefined) return;
    const isSealed = seal !== undefined && (await this.#seal.isValid(hash, Buffer.from(seal, "base64")));
    if (!isSealed) this.#problem("unsealed", at, "was not written by the holder of the key");
  }

  /** Entries that are missing may have been trimmed, also while the others were read: the log says so later on. */
  #place({ chain, seq }: StoredEntry, entry: AuditEntry | undefined, { head, gaps }: Walked): void {
    if (seq > head.seq + 1) return void gaps.push({ from: head.seq + 1, through: seq - 1, hash: entry?.prev ?? "" });
    if (seq !== head.seq + 1 || (entry !== undefined && entry.prev !== head.hash))
      this.#problem("unlinked", { chain, seq }, "does not follow the entry before it");
  }

  #isCut({ chain, seq }: AuditHead): void {
    const walked = this.#chains.get(chain);
    if (walked !== undefined && walked.head.seq >= seq) return;
    this.#problem("cut", { chain, seq: (walked?.head.seq ?? 0) + 1 }, `to ${seq} are missing at the end`);
  }

  #isBeyond({ chain, seq }: AuditHead): void {
    const head = this.#chains.get(chain)?.head;
    if (head !== undefined && head.seq > seq)
      this.#problem("beyond", { chain, seq: seq + 1 }, "stands after the end of its chain");
  }

  #strangers(known: ReadonlySet<string>): void {
    for (const { head, first } of this.#chains.values())
      if (!known.has(head.chain))
        this.#problem("beyond", { chain: head.chain, seq: first }, "is of a chain that the log does not have");
  }

  #problem(kind: AuditProblem["kind"], { chain, seq }: Pick<AuditHead, "chain" | "seq">, what: string): void {
    const message = `entry ${seq} of chain ${chain} ${what}`;
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push({ chain, seq, kind, message });
  }
}

/** What an entry holds; `undefined` where that is no canonical JSON of one. */
function readEntry({ text }: StoredEntry): AuditEntry | undefined {
  try {
    const entry = JSON.parse(text) as AuditEntry; // its hash says whether it is one
    return canonical(entry) === text ? entry : undefined;
  } catch {
    return undefined;
  }
}

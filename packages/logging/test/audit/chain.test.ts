import { createHmac, randomInt } from "node:crypto";
import t from "tap";
import { canonical } from "../../src/audit/chain/canonical.ts";
import { emptyChain, linkAll, linker, timeId, type AuditDraft } from "../../src/audit/chain/entry.ts";
import { networkOf } from "../../src/audit/network.ts";
import { readAuditLine, verifyEntries, type AuditSeal, type StoredEntry } from "../../src/audit/index.ts";
import { lineOf } from "../../src/audit/chain/line.ts";

const seal: AuditSeal = {
  sign: async (message) => createHmac("sha256", "key of the test").update(message).digest(),
  isValid: async (message, tag) =>
    createHmac("sha256", "key of the test").update(message).digest().equals(Buffer.from(tag)),
};

const draft = (n: number): AuditDraft => ({
  id: timeId(n),
  time: n,
  instance: "test",
  action: "video.deleted",
  actor: `user-${n % 7}`,
  target: `video:${n}`,
  outcome: "success",
  detail: { n },
});

const chainOf = (length: number, key?: AuditSeal): Promise<readonly StoredEntry[]> =>
  linkAll(
    Array.from({ length }, (_, n) => draft(n)),
    emptyChain("1"),
    linker(key),
  );

t.test("JSON has one form, that of RFC 8785", (t) => {
  const given = {
    numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 1e-27, -0],
    string: '€$\u000f\nA\'B"\\\\"/',
    literals: [null, true, false],
    no: undefined,
  };
  const wanted = String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],"string":"€$\u000f\nA'B\"\\\\\"/"}`;
  t.equal(canonical(given), wanted);
  const order = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
  t.same(
    canonical(order)
      .match(/\d(?=[,}])/g)
      ?.map(Number),
    [2, 4, 6, 7, 1, 5, 3],
    "by UTF-16 units",
  );
  t.equal(canonical({ half: "\ud800", nul: "a\0\\u0000" }), '{"half":"\ufffd","nul":"a\ufffd\\\\u0000"}');
  const odd = canonical({ "\ud800": 1, "\0": 2, "\ue000": 3, "\udfff": 4 });
  t.equal(canonical(JSON.parse(odd)), odd, "also names are in the order of what is written");
  t.end();
});

t.test("a chain as it was written is intact, also through lines of JSON", async (t) => {
  const entries = await chainOf(50, seal);
  t.match(await verifyEntries(entries, { seal }), { intact: true, entries: 50, chains: 1, problems: [] });
  const read = entries.map((entry) => readAuditLine(lineOf(entry)));
  t.same(read, entries);
  t.equal(readAuditLine("{}"), undefined);
  t.equal(readAuditLine("no json"), undefined);
});

/** Each is one way to change what was written, by somebody who can write the log but has no key. */
const TAMPERINGS: Readonly<Record<string, (entries: StoredEntry[], at: number) => void>> = {
  change: (entries, at) => {
    const entry = entries[at];
    if (entry !== undefined) entries[at] = { ...entry, text: entry.text.replace(/"actor":"user-\d"/, '"actor":"eve"') };
  },
  delete: (entries, at) => void entries.splice(at, 1),
  swap: (entries, at) => {
    const [a, b] = [entries[at], entries[at - 1]];
    if (a !== undefined && b !== undefined) [entries[at], entries[at - 1]] = [b, a];
  },
  insert: (entries, at) => {
    const entry = entries[at];
    if (entry !== undefined) entries.splice(at, 0, entry);
  },
  truncate: (entries, at) => void entries.splice(at),
};

t.test("100 of 100 random tamperings are found, and the entry is named", async (t) => {
  const written = await chainOf(60, seal);
  const head = written.at(-1);
  const anchors = head === undefined ? [] : [head];
  let found = 0;
  for (const [kind, tamper] of Object.entries(TAMPERINGS))
    for (let i = 0; i < 20; i++) {
      const entries = [...written];
      const at = randomInt(1, 59);
      tamper(entries, at);
      const { problems } = await verifyEntries(entries, { seal, anchors });
      const isNamed = problems.some(({ seq }) => seq === at + 1 || seq === at || seq === at + 2);
      if (!isNamed) t.fail(`${kind} at ${at}: ${JSON.stringify(problems)}`);
      else found += 1;
    }
  t.equal(found, 100);
});

t.test("who writes the rest of the chain anew is found by the seal, and without one by an anchor", async (t) => {
  const written = await chainOf(20, seal);
  const before = written[9];
  const anchor = written[14];
  if (before === undefined || anchor === undefined) throw new Error("there are 20");
  const forged = await linkAll(
    Array.from({ length: 10 }, (_, n) => draft(100 + n)),
    before,
    linker(undefined),
  );
  const entries = [...written.slice(0, 10), ...forged];
  const sealed = await verifyEntries(entries, { seal });
  t.equal(sealed.problems[0]?.kind, "unsealed");
  t.equal(sealed.problems[0]?.seq, 11);
  t.match(await verifyEntries(entries), { intact: true }, "hashes alone cannot know");
  t.match(await verifyEntries(entries, { anchors: [anchor] }), { problems: [{ kind: "rewritten", seq: 15 }] });
  t.match(await verifyEntries(written.slice(0, 12)), { intact: true }, "nor do they know of a tail that was cut off");
  t.match(await verifyEntries(written.slice(0, 12), { anchors: [anchor] }), { problems: [{ kind: "cut", seq: 13 }] });
});

t.test("what is trimmed while the others are read is not missing, and what nobody trimmed is", async (t) => {
  const written = await chainOf(20);
  const through = written[9];
  if (through === undefined) throw new Error("there are 20");
  const note = { ...draft(20), action: "audit.trimmed", detail: { through: 10, hash: through.hash } };
  const [noted] = await linkAll([note], written.at(-1) ?? emptyChain("1"), linker(undefined));
  if (noted === undefined) throw new Error("it was linked");
  const all = [...written, noted];
  const without = (from: number, to: number): StoredEntry[] => all.filter(({ seq }) => seq < from || seq > to);
  t.match(await verifyEntries(without(1, 10)), { intact: true });
  t.match(await verifyEntries(without(4, 10)), { intact: true }, "the first page was read before");
  for (const [from, to] of [
    [4, 9],
    [4, 11],
    [12, 14],
  ] as const)
    t.match(await verifyEntries(without(from, to)), { problems: [{ kind: "missing", seq: from }] });
  const other = { ...note, detail: { through: 10, hash: "0".repeat(64) } };
  const forged = await linkAll([other], written.at(-1) ?? emptyChain("1"), linker(undefined));
  t.match(await verifyEntries([...written.slice(10), ...forged]), { problems: [{ kind: "missing", seq: 1 }] });
});

t.test("of an address only its network is kept", (t) => {
  const networks = ["203.0.113.9", "::ffff:203.0.113.9", "2001:db8:1:2::9", "fe80::1%eth0", "::1", "no address"];
  t.same(networks.map(networkOf), [
    "203.0.113.0/24",
    "203.0.113.0/24",
    "2001:db8:1::/48",
    "fe80:0:0::/48",
    "0:0:0::/48",
    undefined,
  ]);
  t.match(timeId(1_764_380_000_000), /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  t.end();
});

import { randomBytes } from "node:crypto";
import { CryptoBackendManager } from "@steward/crypto";
import { estimated, type Findings, type Target } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { median, ratios } from "../harness/statistics.ts";
import { bareGcm, barePieces, bareXaes, type Bare } from "./bare.ts";
import { awsEncryptionSdk, forgeGcm } from "./rivals.ts";

type Work = () => unknown;
const SIZES = [1_024, 65_536, 1_048_576] as const;

/** CPU microseconds of one run of `work`, from many. */
async function cost(work: Work, times: number): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) {
    const result = work();
    if (result instanceof Promise) await result;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

/** Interleaved rounds, the order turned round each time; one series of costs a work. */
async function measured(
  works: Readonly<Record<string, Work>>,
  times: (name: string) => number,
  rounds: number,
): Promise<Record<string, number[]>> {
  const series: Record<string, number[]> = Object.fromEntries(Object.keys(works).map((name) => [name, []]));
  for (let round = -2; round < rounds; round++) {
    const order = round % 2 === 0 ? Object.entries(works) : Object.entries(works).reverse();
    for (const [name, work] of order) {
      const us = await cost(work, times(name));
      if (round >= 0) series[name]?.push(us);
    }
  }
  return series;
}

/** The keyset layer against hand-written calls of the same suites, and against rivals at 1 KB. */
export async function messagesBench({ rounds, say }: Pick<Settings, "rounds" | "say">): Promise<Findings> {
  const keysets = { xaes: { algorithm: "aes-256-gcm" }, gcm: { algorithm: "aes-256-gcm-plain" } } as const;
  const manager = await new CryptoBackendManager({ keysets, messageBlock: 2 ** 30 }).start();
  const targets: Target[] = [];
  const rows: (string | number)[][] = [];
  for (const size of SIZES) {
    say(`crypto messages: ${size} bytes`);
    const works = worksOf(manager, size);
    const times = Math.max(8, Math.min(8_000, Math.floor(40_000_000 / size)));
    const series = await measured(works, () => times, rounds);
    const wanted = size === 1_024 ? 0.85 : 0.97;
    for (const name of ["AES-256-GCM encrypt", "AES-256-GCM decrypt", "XAES encrypt", "XAES decrypt"]) {
      const found = ratios(series[`bare ${name}`] ?? [], series[name] ?? []);
      targets.push(estimated(`${name}, ${size} bytes: bare CPU / ours`, found, ">=", wanted, "x"));
    }
    rows.push(...Object.entries(series).map(([name, us]) => [size, name, median(us), size / median(us)]));
  }
  const rivals = await againstRivals(manager, rounds);
  await manager.stop();
  return {
    targets: [...targets, ...rivals.targets],
    tables: [
      {
        title: `Messages, Node ${process.version}`,
        columns: ["bytes", "work", "CPU-us", "MB per CPU second"],
        rows: [...rows, ...rivals.rows],
      },
    ],
  };
}

function worksOf({ client }: CryptoBackendManager, size: number): Record<string, Work> {
  const plaintext = randomBytes(size);
  const works: Record<string, Work> = {};
  for (const [name, bare, box] of [
    ["AES-256-GCM", bareGcm(), client.aead("gcm")],
    ["XAES", bareXaes(), client.aead("xaes")],
  ] as const satisfies readonly (readonly [string, Bare, unknown])[]) {
    const [bareMessage, message] = [bare.encrypt(plaintext), box.encryptSync(plaintext)];
    works[`bare ${name} encrypt`] = () => bare.encrypt(plaintext);
    works[`${name} encrypt`] = () => box.encryptSync(plaintext);
    works[`${name} encrypt, awaited`] = () => box.encrypt(plaintext);
    works[`bare ${name} decrypt`] = () => bare.decrypt(bareMessage);
    works[`${name} decrypt`] = () => box.decryptSync(message);
  }
  const pieces = barePieces();
  works["AES-256-GCM encrypt in pieces that nobody joins"] = () => pieces(plaintext);
  return works;
}

async function againstRivals(
  { client }: CryptoBackendManager,
  rounds: number,
): Promise<{ targets: Target[]; rows: (string | number)[][] }> {
  const plaintext = randomBytes(1_024);
  const text = plaintext.toString("latin1");
  const forge = forgeGcm();
  const aws = Object.entries((await awsEncryptionSdk()) ?? {});
  const works: Record<string, Work> = {
    "AES-256-GCM": () => client.aead("gcm").encryptSync(plaintext),
    XAES: () => client.aead("xaes").encryptSync(plaintext),
    "node-forge, bytes": () => forge.fromBytes(plaintext),
    "node-forge, strings": () => forge.fromStrings(text),
    ...Object.fromEntries(aws.map(([name, work]) => [`AWS, ${name}`, () => work(plaintext)])),
  };
  const series = await measured(
    works,
    (name) => (name.startsWith("AWS") ? 150 : name.startsWith("node") ? 400 : 6_000),
    rounds,
  );
  const than = (ours: string, theirs: string, wanted: number): Target =>
    estimated(`${ours} against ${theirs}, 1 KB`, ratios(series[theirs] ?? [], series[ours] ?? []), ">=", wanted, "x");
  const forgeBest = "node-forge, strings";
  const targets = [than("AES-256-GCM", forgeBest, 15), than("XAES", forgeBest, 8)];
  for (const [name] of aws) targets.push(than("AES-256-GCM", `AWS, ${name}`, 30), than("XAES", `AWS, ${name}`, 30));
  return {
    targets,
    rows: Object.entries(series).map(([name, us]) => [1_024, `beside rivals: ${name}`, median(us), 1_024 / median(us)]),
  };
}

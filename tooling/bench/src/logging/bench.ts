import { estimate, type Findings, ratios, type Row, row } from "@steward/harness";
import { together, type Together, togetherTable } from "../arms/together.ts";
import type { Settings } from "../settings.ts";

const area = "logging";

/** What it costs that a line is looked through for secrets: CPU of a line of ours beside one of pino alone. */
export async function loggingBench(settings: Settings): Promise<Findings> {
  const all = await together("logging/lines", settings);
  return { rows: all.map(lineRow), tables: [togetherTable("A line of the log", all)] };
}

function lineRow({ work, us }: Together): Row {
  const [pino = [], ours = []] = [us["pino"], us["Steward"]];
  return row({
    area,
    work,
    unit: "us CPU",
    limit: { name: "pino", figure: estimate(pino) },
    ours: estimate(ours),
    ratio: { of: "ours / limit", figure: ratios(ours, pino) },
    bar: "<= 1.15",
  });
}

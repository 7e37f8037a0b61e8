export { Child, freePorts, measureIn, nodeOf, output, type Place, root } from "./process.ts";
export {
  type Bar,
  type BarText,
  type Figure,
  type Findings,
  judge,
  markdown,
  type Named,
  type Ratio,
  report,
  type Row,
  row,
  rowTable,
  short,
  shown,
  summary,
  type Table,
  type Verdict,
} from "./report.ts";
export { type Estimate, estimate, median, randomFrom, ratios } from "./statistics.ts";

import { readFileSync } from "node:fs";

/**
 * How many descriptors this process may have open: files, sockets and pipes together; `undefined` where there is no
 * limit, or none is known. Node has raised the soft limit to the hard one when it began.
 */
export function descriptorLimit(): number | undefined {
  const soft = process.platform === "linux" ? ofProc() : ofReport();
  const limit = Number(soft);
  return soft !== undefined && Number.isFinite(limit) && limit > 0 ? limit : undefined;
}

/** Linux, which shows it at once. */
function ofProc(): string | undefined {
  try {
    return /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

/** What of Node's report is read; its types do not say what is in it. */
interface Report {
  readonly userLimits?: { readonly open_files?: { readonly soft?: string | number } };
}

/** Other systems, by Node's diagnostic report. */
function ofReport(): string | number | undefined {
  return (process.report.getReport() as Report).userLimits?.open_files?.soft;
}

import { assertShape, required, shape, text, withMethods } from "@steward/core/driver";
import type { LogDestination } from "../../options.ts";
import { emptyChain, linkAll, timeId, type AuditDraft, type AuditHead, type Link } from "../chain/entry.ts";
import { lineOf } from "../chain/line.ts";
import { noTransaction, oneByOne } from "./order.ts";
import type { AuditSink } from "./sink.ts";

/** How {@link logAudit} is made. */
export interface LogAuditOptions {
  /** Where lines go: an entry counts as stored when `write` has returned. */
  readonly destination: LogDestination;
  /** Name of the chain; each start of a process begins one. Default: a new id. */
  readonly chain?: string | undefined;
}

const LOG_AUDIT = shape<LogAuditOptions>(() => ({
  destination: required(withMethods("an object with write(line), such as a stream", "write")),
  chain: text(),
}));

/**
 * Writes entries as lines of JSON, for those who collect lines and keep them where no one changes them. Nothing can be
 * read back here: `verifyEntries` takes what was collected, by `readAuditLine`.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function logAudit(options: LogAuditOptions): AuditSink {
  assertShape("logAudit", LOG_AUDIT, options);
  const to = options.destination;
  let head: AuditHead = emptyChain(options.chain ?? timeId(Date.now()));
  const write = async (drafts: readonly AuditDraft[], link: Link): Promise<void> => {
    for (const entry of await linkAll(drafts, head, link)) {
      to.write(lineOf(entry));
      head = entry;
    }
  };
  const inOrder = oneByOne();
  return {
    kind: "log",
    open: () => Promise.resolve(),
    append: (drafts, link, within) =>
      within === undefined ? inOrder(() => write(drafts, link)) : Promise.reject(noTransaction("a log")),
  };
}

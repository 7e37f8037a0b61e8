// The driver's own types of what the copies of a client reply, which it does not export: `duplicate` cannot be typed otherwise.

type Mode = "legacy" | "resp3";

/** What a copy made with `Options` replies. */
export type ReplyMapping<Options> = Options extends { replyMapping: infer Mapping }
  ? Extract<Mapping, Mode> extends never
    ? "legacy"
    : Extract<Mapping, Mode>
  : "legacy";

/** The same of a cluster. */
export type ClusterReplyMapping<Options> = Options extends { redisOptions: { replyMapping: infer Mapping } }
  ? Extract<Mapping, Mode> extends never
    ? "legacy"
    : Extract<Mapping, Mode>
  : "legacy";

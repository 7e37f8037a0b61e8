import { cryptoBackend, sqlStore } from "@steward/crypto";
import { pubSub, sqlRunner } from "@steward/database";
import { db } from "../resources/stores.ts";
import { settings } from "../settings.ts";
import { kek } from "./kek.ts";
import { KEYSETS } from "./keysets.ts";

/**
 * The keys of Clips. They are kept in the database, wrapped by the KEK, so all instances share them; each hears of
 * changes by NOTIFY. Without the right KEK the rest of Clips works: only what needs keys answers 503.
 */
export const crypto = cryptoBackend("crypto", {
  needs: { db, kek, settings },
  criticality: "optional",
  readiness: "startup",
  options: ({ db, kek, settings }) => ({
    keysets: KEYSETS,
    environment: settings.environment,
    store: sqlStore({ sql: sqlRunner(db), table: "clips_keysets", pubSub: pubSub(db) }),
    kek,
  }),
});

import { randomUUID } from "node:crypto";
import { currentContext, resource } from "@steward/core";
import type { AeadKeyset, CryptoBackend, MacKeyset } from "@steward/crypto";
import { sqlRunner, type Database } from "@steward/database";
import { auditLog, sqlAudit, type AuditLog } from "@steward/logging/audit";
import { desc, eq, inArray, type SQL } from "drizzle-orm";
import { keyIdOf } from "../crypto/keysets.ts";
import { crypto } from "../crypto/backend.ts";
import { db } from "../resources/stores.ts";
import { secrets as table, type StoredSecret } from "./table.ts";

/** A secret without what is secret about it. */
export interface SecretEntry {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  /** The key that its value is encrypted with. */
  readonly keyId: number;
}

/** A secret in clear. */
export interface OpenSecret extends SecretEntry {
  readonly value: string;
}

/** What is encrypted, each under its own associated data and hashed apart from the other. */
type Column = "name" | "value";

const MOST = 100;

/** Secrets in Postgres: who reads the table alone learns nothing of them but which ones are equal. */
export class Secrets {
  readonly #db: Database;
  readonly #box: AeadKeyset;
  readonly #lookup: MacKeyset;
  readonly #audit: AuditLog<"secret.read">;

  constructor(database: Database, backend: CryptoBackend, audit: AuditLog<"secret.read">) {
    this.#db = database;
    this.#audit = audit;
    this.#box = backend.aead("secrets");
    this.#lookup = backend.mac("lookup");
  }

  async add({ name, value }: { readonly name: string; readonly value: string }): Promise<SecretEntry> {
    const id = randomUUID();
    const row = {
      id,
      name: await this.#sealed("name", id, name),
      nameHash: this.#lookup.signSync(hashed("name", name)),
      value: await this.#sealed("value", id, value),
      valueHash: this.#lookup.signSync(hashed("value", value)),
    };
    const [added] = await this.#db.insert(table).values(row).returning();
    if (added === undefined) throw new Error("the database returned no row for a new secret");
    return this.#entry(added);
  }

  /** The newest secrets, at most 100. */
  list(): Promise<readonly SecretEntry[]> {
    return this.#entries(undefined);
  }

  /** Secrets with exactly that name or value, newest first. Rows from before a rotation of the hash's key are found too. */
  with(column: Column, text: string): Promise<readonly SecretEntry[]> {
    const hashes = this.#lookup.tagsSync(hashed(column, text));
    return this.#entries(inArray(column === "name" ? table.nameHash : table.valueHash, hashes));
  }

  /** One secret in clear, once it is recorded who reads it. */
  async find(id: string): Promise<OpenSecret | undefined> {
    const [row] = await this.#db.select().from(table).where(eq(table.id, id));
    if (row === undefined) return undefined;
    const actor = currentContext()?.actor ?? "anonymous";
    await this.#audit.record({ action: "secret.read", actor, target: `secret:${id}`, outcome: "success" });
    return { ...(await this.#entry(row)), value: await this.#opened("value", row) };
  }

  async #entries(condition: SQL | undefined): Promise<readonly SecretEntry[]> {
    const rows = await this.#db.select().from(table).where(condition).orderBy(desc(table.createdAt)).limit(MOST);
    return Promise.all(rows.map((row) => this.#entry(row)));
  }

  async #entry(row: StoredSecret): Promise<SecretEntry> {
    const { id, createdAt, value } = row;
    return { id, name: await this.#opened("name", row), createdAt, keyId: keyIdOf(value) };
  }

  /** Bound to its place: moved to another row or column, it does not decrypt. */
  #sealed(column: Column, id: string, text: string): Promise<Buffer> {
    return this.#box.encrypt(text, { aad: { table: "secrets", column, id } });
  }

  async #opened(column: Column, row: StoredSecret): Promise<string> {
    const bytes = await this.#box.decrypt(row[column], { aad: { table: "secrets", column, id: row.id } });
    return bytes.toString("utf8");
  }
}

function hashed(column: Column, text: string): string {
  return `secrets.${column}:${text}`;
}

/** Who changed keys, which is recorded by itself, and who read a secret: rows of the database that show when one is missing. */
export const audit = auditLog("audit", {
  needs: { db },
  options: ({ db }) => ({ sink: sqlAudit({ sql: sqlRunner(db), table: "clips_audit" }), actions: ["secret.read"] }),
});

/** The stored secrets of this process. */
export const secrets = resource("secrets", {
  needs: { db, crypto, audit },
  tags: ["security"],
  start: ({ db, crypto, audit }) => new Secrets(db, crypto, audit),
});

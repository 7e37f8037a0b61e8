CREATE TABLE "secrets" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" "bytea" NOT NULL,
	"name_hash" "bytea" NOT NULL,
	"value" "bytea" NOT NULL,
	"value_hash" "bytea" NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "secrets_by_name" ON "secrets" USING btree ("name_hash");--> statement-breakpoint
CREATE INDEX "secrets_by_value" ON "secrets" USING btree ("value_hash");--> statement-breakpoint
CREATE INDEX "secrets_newest_first" ON "secrets" USING btree ("created_at" DESC NULLS FIRST);
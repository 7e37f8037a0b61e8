ALTER TABLE "media" ADD COLUMN "owner" uuid;--> statement-breakpoint
ALTER TABLE "media" ADD CONSTRAINT "media_owner_users_id_fk" FOREIGN KEY ("owner") REFERENCES "public"."users"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "media_by_owner" ON "media" USING btree ("owner");--> statement-breakpoint
ALTER TABLE "media" ALTER COLUMN "content" SET STORAGE EXTERNAL;

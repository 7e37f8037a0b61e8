CREATE TABLE "speech" (
	"video_id" uuid PRIMARY KEY NOT NULL,
	"duration_ms" integer NOT NULL,
	"segments" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "speech" ADD CONSTRAINT "speech_video_id_videos_id_fk" FOREIGN KEY ("video_id") REFERENCES "public"."videos"("id") ON DELETE cascade ON UPDATE no action;
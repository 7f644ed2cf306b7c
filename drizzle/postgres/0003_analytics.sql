CREATE TABLE "message_days" (
	"tenant_id" uuid NOT NULL,
	"day" text NOT NULL,
	"shard" integer DEFAULT 0 NOT NULL,
	"message_count" bigint NOT NULL,
	CONSTRAINT "message_days_key" PRIMARY KEY("tenant_id","day","shard")
);
--> statement-breakpoint
CREATE TABLE "request_records" (
	"tenant_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"method" text NOT NULL,
	"route" text NOT NULL,
	"status" integer NOT NULL,
	"duration_us" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "request_records_key" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "route_days" (
	"tenant_id" uuid NOT NULL,
	"day" text NOT NULL,
	"method" text NOT NULL,
	"route" text NOT NULL,
	"request_count" bigint DEFAULT 0 NOT NULL,
	"error_count" bigint DEFAULT 0 NOT NULL,
	"duration_us" bigint DEFAULT 0 NOT NULL,
	"latency" text NOT NULL,
	CONSTRAINT "route_days_key" PRIMARY KEY("tenant_id","day","method","route")
);
--> statement-breakpoint
CREATE TABLE "tenant_days" (
	"tenant_id" uuid NOT NULL,
	"day" text NOT NULL,
	"request_count" bigint DEFAULT 0 NOT NULL,
	"error_count" bigint DEFAULT 0 NOT NULL,
	"duration_us" bigint DEFAULT 0 NOT NULL,
	"latency" text NOT NULL,
	CONSTRAINT "tenant_days_key" PRIMARY KEY("tenant_id","day")
);
--> statement-breakpoint
CREATE TABLE "usage_days" (
	"tenant_id" uuid NOT NULL,
	"day" text NOT NULL,
	"user_id" uuid NOT NULL,
	"model" text NOT NULL,
	"shard" integer DEFAULT 0 NOT NULL,
	"reply_count" bigint NOT NULL,
	"prompt_tokens" bigint NOT NULL,
	"completion_tokens" bigint NOT NULL,
	"estimated_tokens" bigint NOT NULL,
	CONSTRAINT "usage_days_key" PRIMARY KEY("tenant_id","day","user_id","model","shard")
);
--> statement-breakpoint
CREATE TABLE "user_days" (
	"tenant_id" uuid NOT NULL,
	"day" text NOT NULL,
	"user_id" uuid NOT NULL,
	"request_count" bigint DEFAULT 0 NOT NULL,
	"error_count" bigint DEFAULT 0 NOT NULL,
	"duration_us" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "user_days_key" PRIMARY KEY("tenant_id","day","user_id")
);
--> statement-breakpoint
ALTER TABLE "tenant_settings" ADD COLUMN "prices" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "tenant_settings" ADD COLUMN "requests_pruned_before" text;--> statement-breakpoint
ALTER TABLE "message_days" ADD CONSTRAINT "message_days_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "request_records" ADD CONSTRAINT "request_records_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "route_days" ADD CONSTRAINT "route_days_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tenant_days" ADD CONSTRAINT "tenant_days_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "usage_days" ADD CONSTRAINT "usage_days_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "user_days" ADD CONSTRAINT "user_days_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
-- Triggers, so that no code that stores a reply can forget them, and none has to wait for another statement.
CREATE FUNCTION "usage_records_rollup"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO "usage_days" AS kept ("tenant_id", "day", "user_id", "model", "shard", "reply_count", "prompt_tokens", "completion_tokens", "estimated_tokens")
	VALUES (new.tenant_id, to_char(new.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), new.user_id, new.model, pg_backend_pid() % 16,
		1, new.prompt_tokens, new.completion_tokens,
		CASE WHEN new.is_estimated THEN new.prompt_tokens + new.completion_tokens ELSE 0 END)
	ON CONFLICT ON CONSTRAINT "usage_days_key" DO UPDATE SET
		"reply_count" = kept.reply_count + 1,
		"prompt_tokens" = kept.prompt_tokens + excluded.prompt_tokens,
		"completion_tokens" = kept.completion_tokens + excluded.completion_tokens,
		"estimated_tokens" = kept.estimated_tokens + excluded.estimated_tokens;
	RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "usage_records_rollup" AFTER INSERT ON "usage_records" FOR EACH ROW EXECUTE FUNCTION "usage_records_rollup"();
--> statement-breakpoint
CREATE FUNCTION "messages_rollup"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO "message_days" AS kept ("tenant_id", "day", "shard", "message_count")
	VALUES (new.tenant_id, to_char(new.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), pg_backend_pid() % 16, 1)
	ON CONFLICT ON CONSTRAINT "message_days_key" DO UPDATE SET "message_count" = kept.message_count + 1;
	RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER "messages_rollup" AFTER INSERT ON "messages" FOR EACH ROW EXECUTE FUNCTION "messages_rollup"();
--> statement-breakpoint
INSERT INTO "usage_days" ("tenant_id", "day", "user_id", "model", "shard", "reply_count", "prompt_tokens", "completion_tokens", "estimated_tokens")
SELECT tenant_id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), user_id, model, 0, count(*), sum(prompt_tokens), sum(completion_tokens),
	sum(CASE WHEN is_estimated THEN prompt_tokens + completion_tokens ELSE 0 END)
FROM "usage_records" GROUP BY 1, 2, 3, 4;
--> statement-breakpoint
INSERT INTO "message_days" ("tenant_id", "day", "shard", "message_count")
SELECT tenant_id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 0, count(*) FROM "messages" GROUP BY 1, 2;

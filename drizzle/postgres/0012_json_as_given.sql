-- As text: jsonb writes a number such as 1e308 in all its digits, and what was short takes seconds to read.
ALTER TABLE "audit_log" ALTER COLUMN "detail" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "conversations" ALTER COLUMN "metadata" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ALTER COLUMN "response" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "job_schedules" ALTER COLUMN "payload" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "jobs" ALTER COLUMN "payload" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "messages" ALTER COLUMN "tool_call" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "messages" ALTER COLUMN "annotations" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "tenant_plugins" ALTER COLUMN "config" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "tenant_settings" ALTER COLUMN "prices" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "tenant_settings" ALTER COLUMN "prices" SET DEFAULT '{}'::json;

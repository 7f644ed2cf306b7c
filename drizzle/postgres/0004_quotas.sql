CREATE TABLE "quota_months" (
	"tenant_id" uuid NOT NULL,
	"month" text NOT NULL,
	"used" bigint NOT NULL,
	"reserved" bigint NOT NULL,
	CONSTRAINT "quota_months_key" PRIMARY KEY("tenant_id","month"),
	CONSTRAINT "quota_months_tokens" CHECK ("quota_months"."used" >= 0 and "quota_months"."reserved" >= 0)
);
--> statement-breakpoint
CREATE TABLE "quota_reservations" (
	"tenant_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"month" text NOT NULL,
	"tokens" bigint NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "quota_reservations_key" PRIMARY KEY("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "request_windows" (
	"tenant_id" uuid PRIMARY KEY NOT NULL,
	"starts_at" timestamp (3) with time zone NOT NULL,
	"count" integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE "quota_months" ADD CONSTRAINT "quota_months_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "quota_reservations" ADD CONSTRAINT "quota_reservations_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "request_windows" ADD CONSTRAINT "request_windows_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "quota_reservations_expiry" ON "quota_reservations" USING btree ("tenant_id","expires_at");
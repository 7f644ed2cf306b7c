CREATE TABLE `quota_months` (
	`tenant_id` text NOT NULL,
	`month` text NOT NULL,
	`used` integer NOT NULL,
	`reserved` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `month`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "quota_months_tokens" CHECK("quota_months"."used" >= 0 and "quota_months"."reserved" >= 0)
);
--> statement-breakpoint
CREATE TABLE `quota_reservations` (
	`tenant_id` text NOT NULL,
	`id` text NOT NULL,
	`month` text NOT NULL,
	`tokens` integer NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `id`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `quota_reservations_expiry` ON `quota_reservations` (`tenant_id`,`expires_at`);--> statement-breakpoint
CREATE TABLE `request_windows` (
	`tenant_id` text PRIMARY KEY NOT NULL,
	`starts_at` integer NOT NULL,
	`count` integer NOT NULL,
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);

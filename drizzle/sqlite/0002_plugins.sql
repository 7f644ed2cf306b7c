CREATE TABLE `audit_log` (
	`tenant_id` text NOT NULL,
	`id` text NOT NULL,
	`user_id` text NOT NULL,
	`action` text NOT NULL,
	`subject` text NOT NULL,
	`detail` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `id`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`tenant_id`,`user_id`) REFERENCES `users`(`tenant_id`,`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `audit_log_by_user` ON `audit_log` (`tenant_id`,`user_id`);--> statement-breakpoint
CREATE TABLE `job_schedules` (
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`kind` text NOT NULL,
	`payload` text NOT NULL,
	`cron` text NOT NULL,
	`next_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `name`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `job_schedules_next` ON `job_schedules` (`next_at`);--> statement-breakpoint
CREATE TABLE `jobs` (
	`tenant_id` text NOT NULL,
	`id` text NOT NULL,
	`kind` text NOT NULL,
	`payload` text NOT NULL,
	`unique_key` text,
	`state` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`due_at` integer,
	`lease_id` text,
	`last_error` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `id`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "jobs_state" CHECK("jobs"."state" in ('queued', 'running', 'done', 'dead')),
	CONSTRAINT "jobs_due_until_over" CHECK(("jobs"."state" in ('queued', 'running')) = ("jobs"."due_at" is not null))
);
--> statement-breakpoint
CREATE INDEX `jobs_due` ON `jobs` (`due_at`) WHERE "jobs"."due_at" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_unique_key` ON `jobs` (`tenant_id`,`kind`,`unique_key`);--> statement-breakpoint
CREATE TABLE `tenant_plugins` (
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`is_enabled` integer DEFAULT false NOT NULL,
	`config` text,
	`sealed_secrets` text,
	`key_id` text,
	`failure_count` integer DEFAULT 0 NOT NULL,
	`last_failed_at` integer,
	`last_error` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `name`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `tenant_plugins_sealed_with` ON `tenant_plugins` (`key_id`);--> statement-breakpoint
ALTER TABLE `messages` ADD `tool_call` text;--> statement-breakpoint
ALTER TABLE `messages` ADD `annotations` text;
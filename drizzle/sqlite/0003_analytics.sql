CREATE TABLE `message_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`shard` integer DEFAULT 0 NOT NULL,
	`message_count` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`, `shard`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `request_records` (
	`tenant_id` text NOT NULL,
	`id` text NOT NULL,
	`user_id` text NOT NULL,
	`method` text NOT NULL,
	`route` text NOT NULL,
	`status` integer NOT NULL,
	`duration_us` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `id`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `route_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`method` text NOT NULL,
	`route` text NOT NULL,
	`request_count` integer DEFAULT 0 NOT NULL,
	`error_count` integer DEFAULT 0 NOT NULL,
	`duration_us` integer DEFAULT 0 NOT NULL,
	`latency` text NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`, `method`, `route`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `tenant_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`request_count` integer DEFAULT 0 NOT NULL,
	`error_count` integer DEFAULT 0 NOT NULL,
	`duration_us` integer DEFAULT 0 NOT NULL,
	`latency` text NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `usage_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`user_id` text NOT NULL,
	`model` text NOT NULL,
	`shard` integer DEFAULT 0 NOT NULL,
	`reply_count` integer NOT NULL,
	`prompt_tokens` integer NOT NULL,
	`completion_tokens` integer NOT NULL,
	`estimated_tokens` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`, `user_id`, `model`, `shard`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `user_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`user_id` text NOT NULL,
	`request_count` integer DEFAULT 0 NOT NULL,
	`error_count` integer DEFAULT 0 NOT NULL,
	`duration_us` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`, `user_id`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
ALTER TABLE `tenant_settings` ADD `prices` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `tenant_settings` ADD `requests_pruned_before` text;
--> statement-breakpoint
-- Triggers, so that no code that stores a reply can forget them, and none has to wait for another statement.
-- A migration that rebuilds one of these two tables has to create its trigger again.
CREATE TRIGGER `usage_records_rollup` AFTER INSERT ON `usage_records` BEGIN
	INSERT INTO `usage_days` (tenant_id, day, user_id, model, shard, reply_count, prompt_tokens, completion_tokens, estimated_tokens)
	VALUES (new.tenant_id, date(new.created_at / 1000, 'unixepoch'), new.user_id, new.model, 0, 1, new.prompt_tokens, new.completion_tokens,
		CASE WHEN new.is_estimated THEN new.prompt_tokens + new.completion_tokens ELSE 0 END)
	ON CONFLICT DO UPDATE SET
		reply_count = reply_count + 1,
		prompt_tokens = prompt_tokens + excluded.prompt_tokens,
		completion_tokens = completion_tokens + excluded.completion_tokens,
		estimated_tokens = estimated_tokens + excluded.estimated_tokens;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_rollup` AFTER INSERT ON `messages` BEGIN
	INSERT INTO `message_days` (tenant_id, day, shard, message_count)
	VALUES (new.tenant_id, date(new.created_at / 1000, 'unixepoch'), 0, 1)
	ON CONFLICT DO UPDATE SET message_count = message_count + 1;
END;
--> statement-breakpoint
INSERT INTO `usage_days` (tenant_id, day, user_id, model, shard, reply_count, prompt_tokens, completion_tokens, estimated_tokens)
SELECT tenant_id, date(created_at / 1000, 'unixepoch') AS day, user_id, model, 0, count(*), sum(prompt_tokens), sum(completion_tokens),
	sum(CASE WHEN is_estimated THEN prompt_tokens + completion_tokens ELSE 0 END)
FROM `usage_records` GROUP BY tenant_id, day, user_id, model;
--> statement-breakpoint
INSERT INTO `message_days` (tenant_id, day, shard, message_count)
SELECT tenant_id, date(created_at / 1000, 'unixepoch') AS day, 0, count(*) FROM `messages` GROUP BY tenant_id, day;

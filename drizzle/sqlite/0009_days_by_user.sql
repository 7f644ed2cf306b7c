-- Rows of days are found by their key alone: without row ids one tree is read and written instead of two.
-- By hand: drizzle knows no table without row ids. Made anew and not renamed: SQLite reads
-- the whole schema again for each table that is.
DROP TRIGGER `usage_records_rollup`;--> statement-breakpoint
DROP TRIGGER `messages_rollup`;--> statement-breakpoint
CREATE TABLE `kept_tenant_days` AS SELECT `tenant_id`, `day`, `request_count`, `error_count`, `duration_us`, `latency` FROM `tenant_days` ORDER BY `tenant_id`, `day`;--> statement-breakpoint
DROP TABLE `tenant_days`;--> statement-breakpoint
CREATE TABLE `tenant_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`request_count` integer DEFAULT 0 NOT NULL,
	`error_count` integer DEFAULT 0 NOT NULL,
	`duration_us` integer DEFAULT 0 NOT NULL,
	`latency` text NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;--> statement-breakpoint
INSERT INTO `tenant_days` SELECT * FROM `kept_tenant_days`;--> statement-breakpoint
DROP TABLE `kept_tenant_days`;--> statement-breakpoint
CREATE TABLE `kept_route_days` AS SELECT `tenant_id`, `day`, `method`, `route`, `request_count`, `error_count`, `duration_us`, `latency` FROM `route_days` ORDER BY `tenant_id`, `day`, `method`, `route`;--> statement-breakpoint
DROP TABLE `route_days`;--> statement-breakpoint
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
) WITHOUT ROWID;--> statement-breakpoint
INSERT INTO `route_days` SELECT * FROM `kept_route_days`;--> statement-breakpoint
DROP TABLE `kept_route_days`;--> statement-breakpoint
CREATE TABLE `kept_user_days` AS SELECT `tenant_id`, `day`, `user_id`, `request_count`, `error_count`, `duration_us` FROM `user_days` ORDER BY `tenant_id`, `day`, `user_id`;--> statement-breakpoint
DROP TABLE `user_days`;--> statement-breakpoint
CREATE TABLE `user_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`user_id` text NOT NULL,
	`request_count` integer DEFAULT 0 NOT NULL,
	`error_count` integer DEFAULT 0 NOT NULL,
	`duration_us` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`, `user_id`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;--> statement-breakpoint
INSERT INTO `user_days` SELECT * FROM `kept_user_days`;--> statement-breakpoint
DROP TABLE `kept_user_days`;--> statement-breakpoint
CREATE TABLE `kept_usage_days` AS SELECT `tenant_id`, `day`, `user_id`, `model`, `shard`, `reply_count`, `prompt_tokens`, `completion_tokens`, `estimated_tokens` FROM `usage_days` ORDER BY `tenant_id`, `day`, `user_id`, `model`, `shard`;--> statement-breakpoint
DROP TABLE `usage_days`;--> statement-breakpoint
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
) WITHOUT ROWID;--> statement-breakpoint
INSERT INTO `usage_days` SELECT * FROM `kept_usage_days`;--> statement-breakpoint
DROP TABLE `kept_usage_days`;--> statement-breakpoint
CREATE TABLE `kept_message_days` AS SELECT `tenant_id`, `day`, `shard`, `message_count` FROM `message_days` ORDER BY `tenant_id`, `day`, `shard`;--> statement-breakpoint
DROP TABLE `message_days`;--> statement-breakpoint
CREATE TABLE `message_days` (
	`tenant_id` text NOT NULL,
	`day` text NOT NULL,
	`shard` integer DEFAULT 0 NOT NULL,
	`message_count` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `day`, `shard`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;--> statement-breakpoint
INSERT INTO `message_days` SELECT * FROM `kept_message_days`;--> statement-breakpoint
DROP TABLE `kept_message_days`;--> statement-breakpoint
CREATE TRIGGER `usage_records_rollup` AFTER INSERT ON `usage_records` BEGIN
	INSERT INTO `usage_days` (tenant_id, day, user_id, model, shard, reply_count, prompt_tokens, completion_tokens, estimated_tokens)
	VALUES (new.tenant_id, date(new.created_at / 1000, 'unixepoch'), new.user_id, new.model, 0, 1, new.prompt_tokens, new.completion_tokens,
		CASE WHEN new.is_estimated THEN new.prompt_tokens + new.completion_tokens ELSE 0 END)
	ON CONFLICT DO UPDATE SET
		reply_count = reply_count + 1,
		prompt_tokens = prompt_tokens + excluded.prompt_tokens,
		completion_tokens = completion_tokens + excluded.completion_tokens,
		estimated_tokens = estimated_tokens + excluded.estimated_tokens;
END;--> statement-breakpoint
CREATE TRIGGER `messages_rollup` AFTER INSERT ON `messages` BEGIN
	INSERT INTO `message_days` (tenant_id, day, shard, message_count)
	VALUES (new.tenant_id, date(new.created_at / 1000, 'unixepoch'), 0, 1)
	ON CONFLICT DO UPDATE SET message_count = message_count + 1;
END;--> statement-breakpoint
-- How many users were there, without looking at each of their days.
CREATE INDEX `user_days_by_user` ON `user_days` (`tenant_id`,`user_id`,`day`);

-- A usage record is found by its id, which is made of its time.
-- By hand: drizzle knows no table without row ids. Two trees to write for each reply instead of four.
CREATE TABLE `kept_usage_records` AS SELECT `tenant_id`, `id`, `user_id`, `conversation_id`, `message_id`, `model`, `prompt_tokens`, `completion_tokens`, `is_estimated`, `created_at` FROM `usage_records` ORDER BY `tenant_id`, `id`;--> statement-breakpoint
DROP TABLE `usage_records`;--> statement-breakpoint
CREATE TABLE `usage_records` (
	`tenant_id` text NOT NULL,
	`id` text NOT NULL,
	`user_id` text NOT NULL,
	`conversation_id` text NOT NULL,
	`message_id` text NOT NULL,
	`model` text NOT NULL,
	`prompt_tokens` integer NOT NULL,
	`completion_tokens` integer NOT NULL,
	`is_estimated` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `id`),
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`tenant_id`,`user_id`) REFERENCES `users`(`tenant_id`,`id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "usage_records_tokens" CHECK("prompt_tokens" >= 0 and "completion_tokens" >= 0)
) WITHOUT ROWID;--> statement-breakpoint
INSERT INTO `usage_records` SELECT * FROM `kept_usage_records`;--> statement-breakpoint
DROP TABLE `kept_usage_records`;--> statement-breakpoint
CREATE INDEX `usage_records_by_user` ON `usage_records` (`tenant_id`,`user_id`);--> statement-breakpoint
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

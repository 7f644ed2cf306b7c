-- A reference is checked for each request; that the tenant is there is said by its row in `tenant_days`, written with them.
-- By hand: drizzle knows no table without row ids.
CREATE TABLE `__new_request_records` (
	`tenant_id` text NOT NULL,
	`id` text NOT NULL,
	`user_id` text NOT NULL,
	`method` text NOT NULL,
	`route` text NOT NULL,
	`status` integer NOT NULL,
	`duration_us` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `id`)
) WITHOUT ROWID;--> statement-breakpoint
INSERT INTO `__new_request_records` SELECT `tenant_id`, `id`, `user_id`, `method`, `route`, `status`, `duration_us`, `created_at` FROM `request_records` ORDER BY `tenant_id`, `id`;--> statement-breakpoint
DROP TABLE `request_records`;--> statement-breakpoint
ALTER TABLE `__new_request_records` RENAME TO `request_records`;--> statement-breakpoint
-- What the reference did beside: they go with their tenant.
CREATE TRIGGER `tenants_take_records` AFTER DELETE ON `tenants` BEGIN
	DELETE FROM `request_records` WHERE tenant_id = old.id;
END;

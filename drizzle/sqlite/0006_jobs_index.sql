DROP INDEX `jobs_unique_key`;--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_unique_key` ON `jobs` (`tenant_id`,`kind`,`unique_key`) WHERE "jobs"."unique_key" is not null;
-- Words of titles and messages, split as on SQLite: at everything that is neither letter nor digit.
-- =<tenant>, which no word can begin with, keeps a search inside its tenant by the index itself.
-- The bound keeps a long reply under the size that a tsvector may have.
ALTER TABLE "conversations" ADD COLUMN "search" tsvector GENERATED ALWAYS AS
	(to_tsvector('simple', regexp_replace(coalesce(left("title", 200000), ''), '[^[:alnum:]]+', ' ', 'g'))
	|| array_to_tsvector(ARRAY['=' || replace("tenant_id"::text, '-', '')])) STORED;
--> statement-breakpoint
ALTER TABLE "messages" ADD COLUMN "search" tsvector GENERATED ALWAYS AS
	(to_tsvector('simple', regexp_replace(left("content", 200000), '[^[:alnum:]]+', ' ', 'g'))
	|| array_to_tsvector(ARRAY['=' || replace("tenant_id"::text, '-', '')])) STORED;
--> statement-breakpoint
CREATE INDEX "conversations_search" ON "conversations" USING gin ("search");
--> statement-breakpoint
CREATE INDEX "messages_search" ON "messages" USING gin ("search");

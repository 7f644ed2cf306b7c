-- To index one message costs more than to store it; to index many at once costs little more than one. So titles and
-- messages wait here, in the transaction that wrote them, until 64 do or they have 8000 characters, for everybody waits
-- while they are indexed, or until a search begins, or one of them changes.
CREATE TABLE `conversation_search_waiting` (
	`id` integer PRIMARY KEY NOT NULL,
	`scope` text NOT NULL,
	`words` text NOT NULL,
	`conversation_id` text NOT NULL,
	-- Of this one and all before it.
	`characters` integer NOT NULL
);
--> statement-breakpoint
-- Who leaves is indexed: `DELETE FROM conversation_search_waiting` brings the index up to date.
CREATE TRIGGER `conversation_search_index` AFTER DELETE ON `conversation_search_waiting` BEGIN
	INSERT INTO `conversation_search` (scope, words, conversation_id) VALUES (old.scope, old.words, old.conversation_id);
END;
--> statement-breakpoint
-- Ids begin at 1 again whenever the table is empty.
CREATE TRIGGER `conversation_search_full` AFTER INSERT ON `conversation_search_waiting` WHEN new.id >= 64 OR new.characters > 8000 BEGIN
	DELETE FROM `conversation_search_waiting`;
END;
--> statement-breakpoint
DROP TRIGGER `conversations_search_insert`;
--> statement-breakpoint
CREATE TRIGGER `conversations_search_insert` AFTER INSERT ON `conversations` WHEN new.title IS NOT NULL BEGIN
	INSERT INTO `conversation_search_waiting` (scope, words, conversation_id, characters)
	VALUES ('t' || replace(new.tenant_id, '-', '') || ' c' || replace(new.id, '-', ''), new.title, new.id,
		length(new.title) + coalesce((SELECT characters FROM `conversation_search_waiting` ORDER BY id DESC LIMIT 1), 0));
END;
--> statement-breakpoint
DROP TRIGGER `conversations_search_update`;
--> statement-breakpoint
CREATE TRIGGER `conversations_search_update` AFTER UPDATE OF `title` ON `conversations` WHEN new.title IS NOT old.title BEGIN
	DELETE FROM `conversation_search_waiting`;
	DELETE FROM `conversation_search` WHERE rowid IN
		(SELECT rowid FROM `conversation_search` WHERE `conversation_search` MATCH 'scope : c' || replace(old.id, '-', ''));
	INSERT INTO `conversation_search_waiting` (scope, words, conversation_id, characters)
	SELECT 't' || replace(new.tenant_id, '-', '') || ' c' || replace(new.id, '-', ''), new.title, new.id, length(new.title) WHERE new.title IS NOT NULL;
END;
--> statement-breakpoint
DROP TRIGGER `conversations_search_delete`;
--> statement-breakpoint
CREATE TRIGGER `conversations_search_delete` AFTER DELETE ON `conversations` BEGIN
	DELETE FROM `conversation_search_waiting`;
	DELETE FROM `conversation_search` WHERE rowid IN
		(SELECT rowid FROM `conversation_search` WHERE `conversation_search` MATCH 'scope : c' || replace(old.id, '-', ''));
END;
--> statement-breakpoint
DROP TRIGGER `messages_search_insert`;
--> statement-breakpoint
CREATE TRIGGER `messages_search_insert` AFTER INSERT ON `messages` BEGIN
	INSERT INTO `conversation_search_waiting` (scope, words, conversation_id, characters)
	VALUES ('t' || replace(new.tenant_id, '-', '') || ' m' || replace(new.id, '-', ''), new.content, new.conversation_id,
		length(new.content) + coalesce((SELECT characters FROM `conversation_search_waiting` ORDER BY id DESC LIMIT 1), 0));
END;
--> statement-breakpoint
DROP TRIGGER `messages_search_delete`;
--> statement-breakpoint
CREATE TRIGGER `messages_search_delete` AFTER DELETE ON `messages` BEGIN
	DELETE FROM `conversation_search_waiting`;
	DELETE FROM `conversation_search` WHERE rowid IN
		(SELECT rowid FROM `conversation_search` WHERE `conversation_search` MATCH 'scope : m' || replace(old.id, '-', ''));
END;

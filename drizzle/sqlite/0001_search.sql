-- Words of titles and messages. `scope` holds two tokens: t<tenant> keeps a search inside its tenant by the index itself,
-- c<conversation> or m<message> finds the one row that a change or a deletion concerns.
CREATE VIRTUAL TABLE `conversation_search` USING fts5(scope, words, conversation_id UNINDEXED, tokenize = 'unicode61 remove_diacritics 0');
--> statement-breakpoint
CREATE TRIGGER `conversations_search_insert` AFTER INSERT ON `conversations` WHEN new.title IS NOT NULL BEGIN
	INSERT INTO `conversation_search` (scope, words, conversation_id)
	VALUES ('t' || replace(new.tenant_id, '-', '') || ' c' || replace(new.id, '-', ''), new.title, new.id);
END;
--> statement-breakpoint
CREATE TRIGGER `conversations_search_update` AFTER UPDATE OF `title` ON `conversations` WHEN new.title IS NOT old.title BEGIN
	DELETE FROM `conversation_search` WHERE rowid IN
		(SELECT rowid FROM `conversation_search` WHERE `conversation_search` MATCH 'scope : c' || replace(old.id, '-', ''));
	INSERT INTO `conversation_search` (scope, words, conversation_id)
	SELECT 't' || replace(new.tenant_id, '-', '') || ' c' || replace(new.id, '-', ''), new.title, new.id WHERE new.title IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `conversations_search_delete` AFTER DELETE ON `conversations` BEGIN
	DELETE FROM `conversation_search` WHERE rowid IN
		(SELECT rowid FROM `conversation_search` WHERE `conversation_search` MATCH 'scope : c' || replace(old.id, '-', ''));
END;
--> statement-breakpoint
CREATE TRIGGER `messages_search_insert` AFTER INSERT ON `messages` BEGIN
	INSERT INTO `conversation_search` (scope, words, conversation_id)
	VALUES ('t' || replace(new.tenant_id, '-', '') || ' m' || replace(new.id, '-', ''), new.content, new.conversation_id);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_search_delete` AFTER DELETE ON `messages` BEGIN
	DELETE FROM `conversation_search` WHERE rowid IN
		(SELECT rowid FROM `conversation_search` WHERE `conversation_search` MATCH 'scope : m' || replace(old.id, '-', ''));
END;

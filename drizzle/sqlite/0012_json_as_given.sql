-- SQLite keeps JSON as the text that it is. This is here so that both dialects count their migrations alike.
SELECT 1;

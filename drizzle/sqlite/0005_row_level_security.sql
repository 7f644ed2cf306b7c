-- SQLite knows no roles and no policies. This is here so that both dialects count their migrations alike.
SELECT 1;

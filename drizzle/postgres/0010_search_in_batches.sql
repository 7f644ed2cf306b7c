-- Postgres indexes in columns that it generates itself. This is here so that both dialects count their migrations alike.
SELECT 1;

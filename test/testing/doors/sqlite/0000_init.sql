create table authors (id integer primary key, name text not null unique);
--> statement-breakpoint
create table books (
  id integer primary key,
  author_id integer not null references authors(id) deferrable initially deferred,
  title text not null,
  published_at integer,
  tags text
);

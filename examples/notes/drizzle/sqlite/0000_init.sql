create table users (
  id text primary key,
  name text not null unique,
  role text not null,
  key_hash text not null unique
);
--> statement-breakpoint
create table notes (
  id text primary key,
  owner_id text not null references users(id),
  folder text not null,
  title text not null,
  body text not null,
  created_at integer not null,
  unique (owner_id, title)
);
--> statement-breakpoint
create table tags (
  note_id text not null references notes(id) on delete cascade,
  tag text not null,
  primary key (note_id, tag)
);
--> statement-breakpoint
create table shares (
  note_id text not null references notes(id) on delete cascade,
  user_id text not null references users(id),
  primary key (note_id, user_id)
);
--> statement-breakpoint
create table moves (
  id text primary key,
  note_id text not null references notes(id) on delete cascade,
  from_folder text not null,
  to_folder text not null,
  moved_by text not null references users(id),
  moved_at integer not null,
  check (from_folder <> to_folder)
);

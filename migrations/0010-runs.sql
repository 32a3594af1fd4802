-- The run cache of a project: what a run read (key) and made (value), as dvc writes it, and who said so. An entry never changes.
create table run (
  project_id int not null references project,
  created_at timestamptz not null default now(),
  key bytea not null check (length(key) = 32),
  value bytea not null check (length(value) = 32),
  token_id text not null,
  entry bytea not null,
  primary key (project_id, key, value)
);

-- A lease is one row a batch: the ids of what the session was told is present, coded as tree.members.
create table session (
  id uuid primary key default gen_random_uuid(),
  project_id int not null references project,
  token_id text not null,
  intent text not null check (intent in ('push', 'pull')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);

create index session_expiry on session (expires_at);
create index session_project on session (project_id, created_at);

create table lease (
  id bigint generated always as identity primary key,
  session_id uuid not null references session on delete cascade,
  objects bytea not null
);

alter table lease alter column objects set storage external;
create index lease_session on lease (session_id);

create table token (
  id text primary key,
  name text not null,
  projects text[], -- null: every project
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);

create index token_revoked on token (revoked_at) where revoked_at is not null;

-- One key for all replicas.
create table signing_key (
  id smallint primary key check (id = 1),
  key bytea not null check (length(key) >= 32),
  created_at timestamptz not null default now()
);

create table audit_event (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  action text not null,
  token_id text,
  project text,
  detail jsonb not null default '{}'
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'audit_event is append-only';
end
$$;

create trigger audit_event_append_only before update or delete on audit_event for each row execute function refuse_change();
create trigger audit_event_no_truncate before truncate on audit_event for each statement execute function refuse_change();

-- The row is the record of a job, whoever carries it. worker is the fence: only who claimed the job last may write to it.
create table job (
  id bigint generated always as identity primary key,
  type text not null,
  key text,
  payload jsonb not null default '{}',
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed')),
  attempt int not null default 0,
  max_attempts int not null default 5 check (max_attempts > 0),
  run_at timestamptz not null default now(),
  worker uuid,
  lease_until timestamptz,
  carried_at timestamptz, -- when it was last handed to an outside carrier
  progress jsonb,
  error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);

create unique index job_standing on job (type, key) where state in ('queued', 'running');
create index job_due on job (run_at, id) where state = 'queued';
create index job_lease on job (lease_until) where state = 'running';

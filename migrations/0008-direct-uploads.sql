-- Uploads that go straight to the bucket: who was given a URL for which key, until the bytes are linked or given up.
create table direct_upload (
  id uuid primary key default gen_random_uuid(),
  created_at timestamptz not null default now(),
  size bigint not null check (size >= 0),
  md5 uuid not null,
  project_id int not null references project,
  kind smallint not null check (kind in (0, 2)), -- a file, a file under a legacy digest
  sha256 bytea not null check (length(sha256) = 32),
  key text not null unique
);

create index direct_upload_age on direct_upload (created_at);

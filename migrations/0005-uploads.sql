-- An upload in parts stands until it is completed, given up, or without progress for a week. draft: what the blob store calls
-- the blob that grows. completer is the fence of who completes it.
create table upload (
  id uuid primary key default gen_random_uuid(),
  size bigint not null check (size > 0),
  part_bytes bigint not null check (part_bytes > 0),
  created_at timestamptz not null default now(),
  progress_at timestamptz not null default now(),
  completing_until timestamptz,
  completer uuid,
  md5 uuid not null,
  project_id int not null references project,
  kind smallint not null check (kind between 0 and 3),
  key text not null unique,
  draft text not null
);

create unique index upload_object on upload (project_id, md5, kind, size);
create index upload_progress on upload (progress_at);

-- A part is claimed by one sender at a time; with a receipt it is there for good.
create table upload_part (
  upload_id uuid not null references upload on delete cascade,
  number int not null check (number >= 0),
  claimed_until timestamptz,
  sender uuid,
  receipt text,
  primary key (upload_id, number),
  check ((receipt is null) = (sender is not null))
);

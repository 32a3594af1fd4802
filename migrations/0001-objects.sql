-- Projects, what they hold and where it rests. The md5 of an object stands in a uuid column: 16 bytes, no header, native
-- compare. kind: bit 0 a tree, bit 1 a legacy digest. Ids of objects are dense, so that a set of them can be a bitmap.
create table project (
  id int generated always as identity primary key,
  slug text not null unique,
  created_at timestamptz not null default now()
);

-- key is unique and never given out twice: a late delete cannot hit a new upload.
create table blob (
  id bigint generated always as identity primary key,
  size bigint not null check (size >= 0),
  created_at timestamptz not null default now(),
  verified_at timestamptz,
  project_id int not null references project,
  kind smallint not null check (kind in (0, 1)), -- 0 single, 1 pack
  key text not null unique
);

create type object_state as enum ('live', 'pending', 'damaged');

create table object (
  id bigint generated always as identity primary key,
  blob_id bigint not null references blob,
  blob_offset bigint not null check (blob_offset >= 0),
  size bigint not null check (size >= 0),
  md5 uuid not null,
  project_id int not null references project,
  state object_state not null,
  kind smallint not null check (kind between 0 and 3),
  sha256 bytea not null check (length(sha256) = 32),
  damaged_at timestamptz,
  check ((state = 'damaged') = (damaged_at is not null))
) with (fillfactor = 90);

create unique index object_digest on object (project_id, md5, kind);
create index object_blob on object (blob_id);
create index object_not_live on object (project_id, state) where state <> 'live';

-- members: the ids of the objects in the tree, ascending, each as the varint of its distance to the one before.
create table tree (
  object_id bigint primary key references object on delete cascade,
  bytes bigint not null,
  project_id int not null references project,
  entries int not null,
  broken boolean not null default false,
  members bytea not null
);

alter table tree alter column members set storage external;
create index tree_project on tree (project_id, object_id);
create index tree_broken on tree (project_id, object_id) where broken;

create table trash (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  key text not null unique
);

create index trash_at on trash (at, id);

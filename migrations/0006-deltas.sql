-- A delta blob holds one object as pieces of other blobs and new bytes. A base stays as long as a blob is made of it, also
-- when no object is left in it.
alter table blob drop constraint blob_kind_check;
alter table blob add constraint blob_kind_check check (kind in (0, 1, 2)); -- 0 single, 1 pack, 2 delta

create table blob_base (
  blob_id bigint not null references blob on delete cascade,
  base_id bigint not null references blob,
  primary key (blob_id, base_id)
);

create index blob_base_base on blob_base (base_id);

-- The content-defined chunks of large objects that somebody asked for: 20 bytes for about 70 KB.
create table chunk_list (
  object_id bigint primary key references object on delete cascade,
  chunks bytea not null
);

alter table chunk_list alter column chunks set storage external;

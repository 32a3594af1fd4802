-- A question about a million digests is answered from the index alone: without these columns it fetched a page of the table
-- for each.
create unique index object_digest_covering on object (project_id, md5, kind) include (id, size, state);
drop index object_digest;
alter index object_digest_covering rename to object_digest;

-- What a waiting tree still lacked when it came, so that its commit need not look at the others again: the md5 of each file and
-- how often the tree names it (u32, little-endian), 20 bytes each. null for a tree that is live.
alter table tree add column lacking bytea;

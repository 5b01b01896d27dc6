"""A schema in which no rule of the audit finds anything, although much comes near."""

from __future__ import annotations

#: Each index is right for a reason that some rule has to see.
SOUND = """
create table sound_regions (
    id int primary key, label text, exclude using hash (label with =)
);
insert into sound_regions select n, 'region ' || n from generate_series(1, 5) as n;
create table sound (
    id int primary key, region int references sound_regions, customer int,
    placed timestamptz, state text, email text unique, is_open boolean, flag boolean unique,
    kind text, decile int, skew text, agent int, seldom int, outside int unique,
    body jsonb unique, tags text[], place int, code text, wide text, word text collate "C",
    essay text
);
insert into sound
    select n, n % 5 + 1, n, timestamptz '2025-01-01' + n * interval '1 minute',
        'state ' || n, 'mail ' || n, n % 3 = 0, case n when 1 then true end,
        case when n % 3 = 0 then 'a' else 'b' end, n % 10,
        case when n % 2 = 0 then 'done' else 'skew ' || n end, n,
        case when n % 20 = 0 then n end, case when n % 20 = 0 then n end,
        to_jsonb(n), array['t' || n % 2], n, md5(n::text), repeat('y', 80),
        md5(n::text) || 'twelve more.', repeat('z', 1200)
    from generate_series(1, 3000) as n;

create index on sound (region);  -- a foreign key
create index on sound (kind, region);
create unique index on sound (customer, state);
create unique index on sound (state, customer);
create unique index on sound (placed, code);
create index on sound (placed, id);  -- a tie is broken at the end
create index on sound (is_open, placed);
create index on sound (placed) where is_open;
create index on sound (kind, email) where place < 500;
create index on sound (kind, skew text_pattern_ops);
create index on sound (decile);  -- ten values, none of them frequent
create index on sound (skew);  -- one frequent value, many others
create index on sound (agent) include (code);
create index on sound (seldom) where seldom is not null;
create index on sound (seldom, agent);
create index on sound using brin (seldom);
create index on sound using gin (tags);
create index on sound using brin (id);
create index on sound using brin (place, id);
create index on sound using brin (place);
create index on sound using brin (code, place);
create index on sound (place) with (fillfactor = 90);
create index on sound (code);
create index on sound using hash (code);
create index on sound (word) include (wide);
create unique index on sound (word text_pattern_ops, place) with (deduplicate_items = off);
create index on sound (lower(email));
create index on sound (customer, code);

-- The same columns with other values, which no index needs.
create table sound_few (
    id int primary key, code text, agent int, place int, state text, skew text,
    decile int unique, essay text
);
insert into sound_few
    select n, repeat('w', 600), null, hashint4(n), 'one', 'one', n, 'short'
    from generate_series(1, 2000) as n;
update sound_few set place = 1 where id <= 300;

create table sound_empty (name text);
create index on sound_empty (lower(name));

create table sound_unlike (id int primary key, label text);
create table sound_days (day date, label text) partition by range (day);
create table sound_january partition of sound_days
    for values from ('2025-01-01') to ('2025-02-01');
insert into sound_days select date '2025-01-01' + n % 31, 'label ' || n
    from generate_series(1, 600) as n;
create index on sound_days (label);

create table sound_family (id int primary key, agent int, label text);
create table sound_heirs () inherits (sound_family);
insert into sound_family select n, n, repeat('l', 300) from generate_series(1, 300) as n;
insert into sound_heirs select n, null, 'label' from generate_series(301, 5000) as n;
create index on sound_family (agent);

analyze;
select count(*) from sound where id = 1;
select count(*) from sound_regions where id > 0;
"""

#: A fault on a partitioned table, whose partitions must not be reported beside it.
PARTITIONED_TABLE = """
create table whole (
    id int not null, day date, state text, note text, is_open boolean, agent int, doc jsonb,
    spot int, word text collate "C"
) partition by range (day);
create table part_1 partition of whole for values from ('2025-01-01') to ('2025-07-01');
create table part_2 partition of whole for values from ('2025-07-01') to ('2026-01-01');
insert into whole
    select n, date '2025-01-01' + n % 365, 'state ' || n % 3, repeat(n::text, 80),
        n % 2 = 0, case when n % 5 = 0 then n end, '{}', hashint4(n), n::text
    from generate_series(1, 4000) as n;
"""
PARTITIONED = {
    "duplicate_index": "create index on whole (day); create index fault on whole (day)",
    "constraint_duplicate": "create unique index on whole (day, id); "
    "create index fault on whole (day, id)",
    "redundant_prefix": "create index on whole (day, id); "
    "create index fault on whole (day)",
    "same_columns": "create index on whole (state, agent); "
    "create index fault on whole (agent, state)",
    "reversed_twin": "create index on whole (day); create index fault on whole (day desc)",
    "needless_direction": "create index fault on whole (day desc)",
    "constant_key": "create index fault on whole (is_open) where is_open",
    "useless_predicate": "create index fault on whole (agent) where id is not null",
    "low_selectivity": "create index fault on whole (state)",
    "boolean_index": "create index fault on whole (is_open)",
    "null_heavy": "create index fault on whole (agent)",
    "time_before_other_keys": "create index fault on whole (day, state)",
    "wide_include": "create index fault on whole (id) include (note)",
    "btree_on_document": "create index fault on whole (doc)",
    "hash_on_short_key": "create index fault on whole using hash (agent)",
    "brin_misfit": "create index fault on whole using brin (spot)",
    "needless_pattern_ops": "create index fault on whole (word text_pattern_ops)",
    "unused_index": "create index fault on whole (state); "
    "set enable_seqscan = on; "
    "do $$ begin for i in 1..150 loop perform from whole; end loop; end $$",
    "unindexed_foreign_key": "create table parents (id int primary key); "
    "alter table whole add constraint fault foreign key (agent) references parents "
    "not valid",
    "partial_foreign_key_index": "create table parents (id int primary key); "
    "create index on whole (agent) where is_open; "
    "alter table whole add constraint fault foreign key (agent) references parents "
    "not valid",
    "constraint_twin": "create unique index on whole (day, id); "
    "create unique index fault on whole (day, id)",
    "misnamed_index": "create index fault_agent on whole (state)",
}

_ITEMS = """
create table items (
    id int primary key, email text, kind text, made timestamptz, is_open boolean,
    parent_id int, word text collate "C"
);
"""
_ROWS = """
insert into items
    select n, 'mail ' || n, 'kind', timestamptz '2025-01-01' + n * interval '1 day',
        n % 2 = 0, n % 2, n::text
    from generate_series(1, 1500) as n;
"""
_SEVERAL = """
create table entries (place int, code text, note text);
insert into entries select n, md5(n::text), 'x' from generate_series(1, 60000) as n;
"""
#: Indexes that a rule must leave alone, because one thing or another is not so.
QUIET = (
    (
        "duplicate_index",
        "create unique index on items (email); create unique index on items (email)",
    ),
    (
        "duplicate_index",
        "create index on items using hash (email); "
        "alter table items add exclude using hash (email with =)",
    ),
    (
        "constraint_duplicate",
        "create unique index on items (email, made); "
        "create index on items (email, made desc)",
    ),
    (
        "constraint_duplicate",
        "create unique index on items (email); create index on items (email) where is_open",
    ),
    (
        "redundant_prefix",
        "create index on items (kind) include (made); create index on items (kind, email)",
    ),
    (
        "same_columns",
        "create index on items using brin (id, made); "
        "create index on items using brin (made, id)",
    ),
    ("reversed_twin", "create index on items (made); create index on items (email desc)"),
    (
        "reversed_twin",
        "create index on items (kind) include (made); "
        "create index on items (kind desc) include (email)",
    ),
    (
        "reversed_twin",
        "create index on items (kind) where is_open; "
        "create index on items (kind desc) where not is_open",
    ),
    (
        "reversed_twin",
        "create unique index on items (email); create index on items (email desc)",
    ),
    (
        "partial_beside_full",
        "create index on items (made) where id > 0; create index on items (email, made)",
    ),
    (
        "partial_beside_full",
        "create index on items (made desc, kind) where id > 0; "
        "create index on items (made, kind)",
    ),
    (
        "partial_beside_full",
        "create index on items (made) include (kind) where id > 0; "
        "create index on items (made)",
    ),
    (
        "partial_beside_full",
        "create unique index on items (email) where id > 0; create index on items (email)",
    ),
    (
        "partial_beside_full",
        "create index on items using brin (id) where id > 0; "
        "create index on items using brin (id, made)",
    ),
    (
        "partial_beside_full",
        "delete from items; vacuum items; "
        "create index on items (kind); create index on items (kind) where id > 0",
    ),
    ("low_selectivity", "create index on items (kind) where id > 0"),
    ("low_selectivity", "create index on items (is_open)"),
    (
        "low_selectivity",
        "delete from items where id > 50; vacuum items; create index on items (kind)",
    ),
    (
        "low_selectivity",
        "create table parents (id int primary key); "
        "alter table items add foreign key (parent_id) references parents not valid; "
        "create index on items (parent_id)",
    ),
    ("boolean_index", "create index on items (is_open) where is_open"),
    (
        "unused_index",
        "alter table items add exclude using hash (email with =); "
        "set enable_seqscan = on; "
        "do $$ begin for i in 1..120 loop perform from items; end loop; end $$",
    ),
    (
        "unused_index",
        "create index items_email on items (email); "
        "alter table items cluster on items_email; set enable_seqscan = on; "
        "do $$ begin for i in 1..120 loop perform from items; end loop; end $$",
    ),
    (
        "unselective_scans",
        "delete from items where id > 50; vacuum items; "
        "create index on items (kind); analyze items; "
        "select count(*) from items where kind = 'kind'",
    ),
    (
        "bloated_index",
        _SEVERAL + "create index on entries (place); "
        "create index on entries (code); create index on entries (upper(code))",
    ),
    (
        "loose_leaves",
        "create extension pgstattuple;"
        + _SEVERAL
        + "create index on entries (place); create index on entries using hash (code)",
    ),
    ("time_before_other_keys", "create index on items using brin (made, kind)"),
    (
        "busy_gin",
        "create table posts (tags text[]); insert into posts values ('{a}'); "
        "create index on posts using gin (tags); select from posts where tags @> '{a}'",
    ),
    ("brin_misfit", _SEVERAL + "create index on entries using hash (code)"),
    (
        "write_tax",
        "create index on items (email) where id > 0; "
        "select id from items where email = 'mail 3' and id > 0",
    ),
    ("needless_pattern_ops", "create index on items (word text_pattern_ops, id)"),
    ("needless_pattern_ops", "create unique index on items (word text_pattern_ops)"),
    (
        "skip_scan_suffices",
        "create unique index on items (email); create index on items (kind, email)",
    ),
    (
        "skip_scan_suffices",
        "delete from items where id > 500; vacuum items; "
        "create index on items (email); create index on items (kind, email)",
    ),
    (
        "skip_scan_suffices",
        "create index on items (email); create index on items using brin (kind, email)",
    ),
    (
        "skip_scan_suffices",
        "create index on items (email); create index on items (kind, email) where id > 0",
    ),
    ("random_key", "alter table items add token uuid default gen_random_uuid() unique"),
    (
        "rarely_cached",
        "create index on items (email); select count(email) from items where email > ''",
    ),
)
QUIET_SETUP = _ITEMS + _ROWS

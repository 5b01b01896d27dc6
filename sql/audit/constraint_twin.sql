-- rule: H38
-- title: The same rows kept unique twice
-- weight: high
-- finding: {object} keeps the same keys unique as {other}.
-- advice: Drop this one; the other is enough. It may be that a foreign key refers to it:
--     then the server says so, and nothing is dropped.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisprimary,
        index.indisreplident,
        index.indimmediate,
        index_class.relname,
        index_class.relkind,
        constraint_.conname,
        exists (  -- a foreign key relies on the index that it found first
            select
            from pg_constraint as referring
            where referring.conindid = index.indexrelid
                and referring.contype = 'f'
        ) as is_referred_to,
        regexp_replace(
            substr(
                pg_get_indexdef(index.indexrelid),
                length(format('CREATE UNIQUE INDEX %I ON ', index_class.relname)) + 1
            ),
            ' WITH \([^)]*\)',
            ''
        ) as target
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    left join pg_constraint as constraint_
        on constraint_.conindid = index.indexrelid
        and constraint_.contype in ('p', 'u')
    where index.indisvalid
        and index.indisunique
        and not index_class.relispartition  -- follows the index of its parent
),

ranked as (
    select
        indexrelid,
        indrelid,
        indisprimary,
        indisreplident,
        is_referred_to,
        relname,
        relkind,
        conname,
        first_value(relname) over same_target as other,
        row_number() over same_target as place
    from described
    window same_target as (
        -- one that is checked at the end of a transaction allows what the other forbids
        partition by indrelid, target, indimmediate
        order by
            indisprimary desc,
            is_referred_to desc,
            indisreplident desc,
            conname is not null desc,
            indexrelid
    )
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    ranked.relname as object_name,
    jsonb_build_object(
        'other', ranked.other,
        'is_constraint', ranked.conname is not null
    ) as evidence,
    case
        when ranked.conname is null then format(
            'drop index %s%I.%I;',
            case when ranked.relkind = 'i' then 'concurrently ' end,
            namespace.nspname,
            ranked.relname
        )
        else format(
            'alter table %I.%I drop constraint %I;',
            namespace.nspname,
            table_class.relname,
            ranked.conname
        )
    end as fix,
    case
        when ranked.conname is null
            then replace(pg_get_indexdef(ranked.indexrelid), ' ON ONLY ', ' ON ') || ';'
        else format(
            'alter table %I.%I add constraint %I %s;',
            namespace.nspname,
            table_class.relname,
            ranked.conname,
            (
                select pg_get_constraintdef(oid)
                from pg_constraint
                where conindid = ranked.indexrelid
                    and contype in ('p', 'u')
            )
        )
    end as undo
from ranked
join pg_class as table_class
    on table_class.oid = ranked.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where ranked.place > 1
    and not ranked.indisreplident
    and not ranked.is_referred_to
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;

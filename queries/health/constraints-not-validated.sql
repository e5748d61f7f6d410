-- title: constraints that are declared and that rows need not keep, each with the statement that makes them
-- source: pg_constraint.convalidated, PostgreSQL 18's conenforced, and the triggers by which a foreign key is kept
with constraints_here as (
    select
        constraints.oid                          as constraint_id,
        constraints.conname                      as constraint_name,
        constraints.contype                      as kind,
        constraints.convalidated                 as is_validated,
        -- a column from PostgreSQL 18 on
        coalesce(cast(to_jsonb(constraints) ->> 'conenforced' as boolean), true) as is_enforced,
        case when constraints.contypid = 0 then 'table' else 'domain' end as holder_kind,
        coalesce(tables.relnamespace, domains.typnamespace) as namespace_id,
        coalesce(tables.relname, domains.typname) as holder_name
    from pg_constraint as constraints
    left join pg_class as tables on tables.oid = constraints.conrelid
    left join pg_type as domains on domains.oid = constraints.contypid
    where constraints.contype in ('c', 'f', 'n')
      -- a partition's follows its parent's
      and (constraints.conislocal or constraints.contypid <> 0)
),

switched_off as (
    select
        triggers.tgconstraint as constraint_id,
        string_agg(distinct format('alter table %s enable trigger all', cast(cast(triggers.tgrelid as regclass) as text)), '; ')
            as enabling
    from pg_trigger as triggers
    where triggers.tgisinternal
      and triggers.tgenabled in ('D', 'R')
    group by triggers.tgconstraint
)

select
    format('%I.%I (%I)', namespaces.nspname, here.holder_name, here.constraint_name) as constraint_name,
    case
        when not here.is_enforced then 'not enforced'
        when switched_off.constraint_id is not null then 'its triggers are switched off'
        else 'not validated'
    end as state,
    case
        when here.is_enforced and switched_off.constraint_id is null
            then format(
                'alter %s %I.%I validate constraint %I',
                here.holder_kind, namespaces.nspname, here.holder_name, here.constraint_name
            )
        when not here.is_enforced and here.kind = 'f'
            then format(
                'alter table %I.%I alter constraint %I enforced',
                namespaces.nspname, here.holder_name, here.constraint_name
            )
        -- what is enforced again is not thereby true of the rows that came meanwhile: it is asked of them as a new one
        else format(
            '%salter table %I.%I drop constraint %I, add constraint %I %s',
            switched_off.enabling || '; ', namespaces.nspname, here.holder_name, here.constraint_name,
            here.constraint_name, regexp_replace(pg_get_constraintdef(here.constraint_id), ' NOT (ENFORCED|VALID)$', '')
        )
    end as statement
from constraints_here as here
join pg_namespace as namespaces on namespaces.oid = here.namespace_id
left join switched_off on switched_off.constraint_id = here.constraint_id
where not (here.is_validated and here.is_enforced and switched_off.constraint_id is null)
  and namespaces.nspname <> 'information_schema'
  and namespaces.nspname not like 'pg\_%'
order by constraint_name

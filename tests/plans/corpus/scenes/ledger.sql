-- scene: accounts and their entries, written to
-- do
create table accounts (
    id int primary key, owner text not null, kind text not null, balance numeric(14, 2) not null,
    changed_at timestamptz not null default now()
);
insert into accounts select n, 'Owner ' || n % 4000, (array['giro', 'savings'])[1 + n % 2], n % 10000, timestamptz '2024-01-01'
from generate_series(1, 20000) as numbers (n);
create table entries (
    id bigint primary key, account_id int not null constraint entries_account_fk references accounts on delete cascade,
    amount numeric(12, 2) not null, booked_on date not null, text text not null
);
insert into entries select n, 1 + n % 20000, n % 700 - 350, date '2023-01-01' + (n % 600)::int, 'entry ' || n
from generate_series(1, 100000) as numbers (n);
create table audit (at timestamptz, what text);
create function note_change() returns trigger language plpgsql as $$
begin
    insert into audit values (clock_timestamp(), new.owner || ' changed from ' || old.balance || ' to ' || new.balance);
    return new;
end $$;
create trigger accounts_audit after update on accounts for each row execute function note_change();
vacuum (analyze) accounts; vacuum (analyze) entries;

-- plan: delete_accounts | 18 15 | analyze buffers rollback
delete from accounts where id between 100 and 220;
-- plan: update_with_trigger | 16 | analyze buffers rollback
update accounts set balance = balance + 1 where kind = 'giro';
-- plan: update_one | 14 | analyze buffers wal rollback
update accounts set balance = balance + 1 where id = 77;
-- plan: book_entries | 17 | analyze buffers wal rollback
insert into entries select 200000 + n, 1 + n % 20000, n, '2024-06-01', 'booked ' || n from generate_series(1, 5000) as numbers (n);
-- plan: entries_of_account | 18 | analyze buffers
select sum(amount) from entries where account_id = 4711;
-- plan: balance_check | 17 | analyze buffers
select accounts.id, accounts.balance, sum(entries.amount)
from accounts join entries on entries.account_id = accounts.id
group by accounts.id having sum(entries.amount) <> accounts.balance order by 1 limit 100;
-- plan: correct_each_balance | 18 15 | analyze buffers rollback | session_replication_role=replica
update accounts set balance = (select coalesce(sum(amount), 0) from entries where entries.account_id = accounts.id)
where id between 1000 and 1150;
-- do
create index entries_account_idx on entries (account_id);
vacuum (analyze) entries;
-- plan: delete_accounts_indexed | 18 13 | analyze buffers rollback
delete from accounts where id between 100 and 220;
-- plan: entries_of_account_indexed | 15 | analyze buffers
select sum(amount) from entries where account_id = 4711;
-- plan: correct_each_balance_indexed | 15 | analyze buffers rollback | session_replication_role=replica
update accounts set balance = (select coalesce(sum(amount), 0) from entries where entries.account_id = accounts.id)
where id between 1000 and 1150;
-- plan: update_without_trigger | 16 | analyze buffers rollback | session_replication_role=replica
update accounts set balance = balance + 1 where kind = 'giro';
-- plan: upsert_account | 18 15 | analyze buffers rollback text
insert into accounts values (77, 'Owner 77', 'giro', 5) on conflict (id) do update set balance = accounts.balance + excluded.balance;
-- do
create index entries_amount_idx on entries (amount);
create index entries_booked_idx on entries (booked_on);
create index entries_text_idx on entries (text);
create index entries_text_trgm on entries (lower(text));
create index entries_booked_amount_idx on entries (booked_on, amount);
create index entries_account_booked_idx on entries (account_id, booked_on);
create index entries_amount_account_idx on entries (amount, account_id);
create index entries_text_amount_idx on entries (text, amount);
vacuum (analyze) entries;
-- plan: book_entries_over_indexed | 18 17 15 | analyze buffers wal rollback
insert into entries select 200000 + n, 1 + n % 20000, n, '2024-06-01', 'booked ' || n from generate_series(1, 5000) as numbers (n);
-- plan: merge_entries | 18 | analyze buffers wal rollback text
merge into entries using (select 99000 + n as id, 1 + n % 20000 as account_id from generate_series(1, 1500) as numbers (n)) as new
on entries.id = new.id
when matched then update set amount = entries.amount + 1
when not matched then insert values (new.id, new.account_id, 1, '2024-06-01', 'merged');

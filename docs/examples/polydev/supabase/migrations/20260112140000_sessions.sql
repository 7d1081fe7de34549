create table sessions (
    token uuid primary key,
    account_id uuid not null references accounts (id) on delete cascade,
    expires_at timestamptz not null
);
create index sessions_by_account on sessions (account_id);

-- As Rails' structure.sql has it: sequences by themselves, no foreign keys, a partitioned table, a trigger that keeps a ledger.
CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
CREATE FUNCTION public.entries_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'entries are never deleted'; END;
$$;
CREATE TABLE public.accounts (id bigint NOT NULL, balance_minor bigint DEFAULT 0 NOT NULL, email public.citext NOT NULL, lock_version integer DEFAULT 0, created_at timestamp(6) without time zone NOT NULL, updated_at timestamp(6) without time zone NOT NULL);
CREATE SEQUENCE public.accounts_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
ALTER SEQUENCE public.accounts_id_seq OWNED BY public.accounts.id;
ALTER TABLE ONLY public.accounts ALTER COLUMN id SET DEFAULT nextval('public.accounts_id_seq'::regclass);
ALTER TABLE ONLY public.accounts ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX index_accounts_on_lower_email ON public.accounts USING btree (lower((email)::text));
CREATE TABLE public.entries (id bigserial, account_id bigint NOT NULL, amount_minor bigint NOT NULL, created_at timestamp without time zone DEFAULT now() NOT NULL, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE public.entries_2020s PARTITION OF public.entries FOR VALUES FROM ('2020-01-01') TO ('2050-01-01');
CREATE INDEX index_entries_on_account_id ON public.entries USING btree (account_id);
CREATE TRIGGER entries_are_kept BEFORE DELETE ON public.entries FOR EACH ROW EXECUTE FUNCTION public.entries_are_kept();
CREATE TABLE public.schema_migrations (version character varying NOT NULL, CONSTRAINT schema_migrations_pkey PRIMARY KEY (version));

-- The bank's tables, for PostgreSQL (psql -f schema.sql) and SQLite (sqlite3 bank.sqlite < schema.sql).
CREATE TABLE IF NOT EXISTS account (
	id    integer PRIMARY KEY,
	owner text    NOT NULL,
	cents bigint  NOT NULL CHECK (cents >= 0)
);
CREATE TABLE IF NOT EXISTS transfer (
	token text    PRIMARY KEY,
	payer integer NOT NULL,
	payee integer NOT NULL,
	cents bigint  NOT NULL
);
INSERT INTO account VALUES (1, 'Ada', 100000), (2, 'Bert', 100000), (3, 'Cleo', 100000), (4, 'Dora', 100000) ON CONFLICT DO NOTHING;

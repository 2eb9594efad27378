-- The bank's tables, for PostgreSQL (psql -f schema.sql), MariaDB (mariadb bank < schema.sql) and SQLite (sqlite3 bank.sqlite < schema.sql).
CREATE TABLE IF NOT EXISTS account (
	id    integer PRIMARY KEY,
	owner varchar(64) NOT NULL,
	cents bigint  NOT NULL CHECK (cents >= 0)
);
CREATE TABLE IF NOT EXISTS transfer (
	token varchar(64) PRIMARY KEY,
	payer integer NOT NULL,
	payee integer NOT NULL,
	cents bigint  NOT NULL
);
INSERT INTO account SELECT 1, 'Ada', 100000 WHERE NOT EXISTS (SELECT 1 FROM account WHERE id = 1);
INSERT INTO account SELECT 2, 'Bert', 100000 WHERE NOT EXISTS (SELECT 1 FROM account WHERE id = 2);
INSERT INTO account SELECT 3, 'Cleo', 100000 WHERE NOT EXISTS (SELECT 1 FROM account WHERE id = 3);
INSERT INTO account SELECT 4, 'Dora', 100000 WHERE NOT EXISTS (SELECT 1 FROM account WHERE id = 4);

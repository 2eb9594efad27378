-- The shop's table for PostgreSQL: psql -f schema.sql.  SQLite's is made by shop.c.
CREATE TABLE IF NOT EXISTS item (
	id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name  text    NOT NULL,
	cents integer NOT NULL CHECK (cents >= 0)
);

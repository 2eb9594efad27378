-- SPDX-License-Identifier: ISC
-- The database, which all requests of a worker share.
return require("pg").database("postgres", 64, {
	row = "SELECT id, randomnumber FROM world WHERE id = $1",
})

-- SPDX-License-Identifier: ISC
-- A row with the client in pg.lua.
local pg, database = require "pg", require "db"

local rows
local db, err = database:get()
if db then
	rows, err = pg.query(db, "row", ngx.var.arg_id)
end
if not rows or not rows[1] then
	ngx.log(ngx.ERR, err or "no such row")
	return ngx.exit(502)
end
database:put(db)
local body = rows[1][1] .. " " .. rows[1][2]
ngx.header["Content-Length"] = #body
ngx.print(body)

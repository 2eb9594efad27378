-- SPDX-License-Identifier: ISC
--
-- The TechEmpower tests with lua-cjson, the client in pg.lua and lua-nginx-redis; see examples/techempower for the rules.
-- A request keeps its connection for all of its queries, one after the other, as all clients of PostgreSQL for
-- OpenResty do.
local cjson = require "cjson"
local pg = require "pg"
local redis = require "nginx.redis"
local random, sort, concat = math.random, table.sort, table.concat
local find, gsub, tonumber, tostring = ngx.re.find, string.gsub, tonumber, tostring

local ROWS, MOST, KEEP = 10000, 500, 600
local DATABASE = pg.database("techempower", 8, {
	world = "SELECT id, randomnumber FROM world WHERE id = $1",
	cachedworld = "SELECT id, randomnumber FROM cachedworld WHERE id = $1",
	fortune = "SELECT id, message FROM fortune",
	update = "INSERT INTO world (id, randomnumber) " ..
	    "SELECT CAST(key AS integer), CAST(CAST(value AS text) AS integer) FROM json_each($1) ORDER BY 1 " ..
	    "ON CONFLICT (id) DO UPDATE SET randomnumber = excluded.randomnumber",
})

local function send(body)
	ngx.header["Content-Length"] = #body
	ngx.print(body)
end

local function fail(err)
	ngx.log(ngx.ERR, err or "no such row")
	return ngx.exit(502)
end

local function count(text)
	local n = tonumber(text) or 1
	return n < 1 and 1 or n > MOST and MOST or n
end

-- fn(connection) returns what is to be answered, or nil and why.
local function with_database(fn)
	local db, err = DATABASE:get()
	if not db then
		return fail(err)
	end
	local found
	found, err = fn(db)
	if not found then
		return fail(err)
	end
	DATABASE:put(db)
	return found
end

local function read(db, table, id)
	local rows, err = pg.query(db, table, tostring(id))
	if not rows or not rows[1] then
		return nil, err
	end
	return { id = id, randomNumber = tonumber(rows[1][2]) }
end

local function read_all(db, n)
	local all = {}
	for i = 1, n do
		local one, err = read(db, "world", random(ROWS))
		if not one then
			return nil, err
		end
		all[i] = one
	end
	return all
end

local _M = {}

function _M.plaintext()
	send("Hello, World!")
end

function _M.json()
	send(cjson.encode({ message = "Hello, World!" }))
end

function _M.db()
	send(cjson.encode(with_database(function(db)
		return read(db, "world", random(ROWS))
	end)))
end

function _M.queries()
	local n = count(ngx.var.arg_queries)
	send(cjson.encode(with_database(function(db)
		return read_all(db, n)
	end)))
end

function _M.updates()
	local n = count(ngx.var.arg_queries)
	send(cjson.encode(with_database(function(db)
		local all, err = read_all(db, n)
		if not all then
			return nil, err
		end
		local numbers = {}
		for i = 1, n do
			all[i].randomNumber = random(ROWS)
			numbers[tostring(all[i].id)] = all[i].randomNumber
		end
		local done
		done, err = pg.query(db, "update", cjson.encode(numbers))
		return done and all, err
	end)))
end

local ESCAPED = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

function _M.fortunes()
	local fortunes = with_database(function(db)
		return pg.query(db, "fortune")
	end)
	fortunes[#fortunes + 1] = { "0", "Additional fortune added at request time." }
	sort(fortunes, function(a, b)
		return a[2] < b[2]
	end)
	local out = { "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>" ..
	    "<tr><th>id</th><th>message</th></tr>" }
	for i = 1, #fortunes do
		local one = fortunes[i]
		local message = one[2]
		-- Compiled, which string.gsub is not: most messages need no escape.
		if find(message, "[&<>\"']", "jo") then
			message = gsub(message, "[&<>\"']", ESCAPED)
		end
		out[i + 1] = "<tr><td>" .. one[1] .. "</td><td>" .. message .. "</td></tr>"
	end
	out[#out + 1] = "</table></body></html>"
	send(concat(out))
end

-- What Redis does not have is read from the database and put there.
local function fill(red, all, missing)
	return with_database(function(db)
		for _, i in ipairs(missing) do
			local one, err = read(db, "cachedworld", all[i].id)
			if not one then
				return nil, err
			end
			all[i] = one
			red:set("world:" .. one.id, one.randomNumber, "EX", KEEP)
		end
		return true
	end)
end

function _M.cached()
	local n = count(ngx.var.arg_count)
	local red = redis:new()
	local ok, err = red:connect("unix:@REDIS@", { pool_size = 2, backlog = 4096 })
	if not ok then
		return fail(err)
	end
	local all, keys, missing = {}, {}, {}
	for i = 1, n do
		all[i] = { id = random(ROWS) }
		keys[i] = "world:" .. all[i].id
	end
	local found
	found, err = red:mget(unpack(keys))
	if not found then
		return fail(err)
	end
	for i = 1, n do
		all[i].randomNumber = tonumber(found[i])
		if not all[i].randomNumber then
			missing[#missing + 1] = i
		end
	end
	if #missing > 0 then
		fill(red, all, missing)
	end
	red:set_keepalive(60000, 2)
	send(cjson.encode(all))
end

return _M

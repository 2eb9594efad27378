-- SPDX-License-Identifier: ISC
--
-- The least of a PostgreSQL client over nginx's cosockets, as Debian has none (OpenResty's users take pgmoon).  It
-- flatters the peer: it knows no authentication, no types and no notices, prepares every statement that there is
-- when a connection begins, sends a query as one write without asking for a description of its columns, takes
-- what has come in one piece, and reads the rows where they lie.
--
-- Messages: PostgreSQL's manual, "Message Formats".
local bit = require "bit"
local byte, char, sub = string.byte, string.char, string.sub
local concat = table.concat
local rshift, band = bit.rshift, bit.band
local tcp = ngx.socket.tcp

local PATH = "unix:@PGHOST@/.s.PGSQL.@PGPORT@"
local IDLE, WAITING = 60000, 4096	-- ms, requests that wait for a connection
local PIECE = 65536		-- bytes read at once
local NULL = 0xffffffff

local function int16(n)
	return char(band(rshift(n, 8), 255), band(n, 255))
end

local function int32(n)
	return char(rshift(n, 24), band(rshift(n, 16), 255), band(rshift(n, 8), 255), band(n, 255))
end

local function message(kind, content)
	return kind .. int32(#content + 4) .. content
end

-- A number at this place of what was received; one of 32 bits without a sign.
local function get16(s, at)
	local a, b = byte(s, at, at + 1)
	return a * 256 + b
end

local function get32(s, at)
	local a, b, c, d = byte(s, at, at + 3)
	return ((a * 256 + b) * 256 + c) * 256 + d
end

local SYNC = message("S", "")
local EXECUTE_SYNC = message("E", "\0\0\0\0\0") .. SYNC

-- DataRow, whose content begins here: a list of texts, false for NULL.
local function read_row(s, at)
	local row = {}
	local columns = get16(s, at)
	at = at + 2
	for i = 1, columns do
		local length = get32(s, at)
		at = at + 4
		if length == NULL then
			row[i] = false
		else
			row[i] = sub(s, at, at + length - 1)
			at = at + length
		end
	end
	return row
end

-- Read up to ReadyForQuery.  Returns the rows; or nil and why.
local function read_answer(sock)
	local rows, count, failure = {}, 0, nil
	local s, at = "", 1
	while true do
		while #s - at >= 4 and #s - at >= get32(s, at + 1) do
			local kind = byte(s, at)
			if kind == 68 then		-- D: DataRow
				count = count + 1
				rows[count] = read_row(s, at + 5)
			elseif kind == 69 then		-- E: ErrorResponse
				failure = sub(s, at + 5, at + get32(s, at + 1))
			elseif kind == 90 then		-- Z: ReadyForQuery
				if failure then
					return nil, failure
				end
				return rows
			end
			at = at + 1 + get32(s, at + 1)
		end
		local piece, err = sock:receiveany(PIECE)
		if not piece then
			return nil, err
		end
		s, at = sub(s, at) .. piece, 1
	end
end

local _M = {}
local Database = {}
Database.__index = Database

-- A database, with so many connections at most, and the statements {name = text} that are asked there.
function _M.database(name, connections, statements)
	local startup = "\0\3\0\0user\0postgres\0database\0" .. name .. "\0\0"
	local prepare = {}
	for key, text in pairs(statements) do
		prepare[#prepare + 1] = message("P", key .. "\0" .. text .. "\0\0\0")
	end
	return setmetatable({
		startup = int32(#startup + 4) .. startup,
		prepare = concat(prepare) .. SYNC,
		connections = connections,
		options = { pool = name, pool_size = connections, backlog = WAITING },
	}, Database)
end

-- A connection, of the worker's pool or a new one.  Returns nil and why where there is none.
function Database:get()
	local sock = tcp()
	local ok, err = sock:connect(PATH, self.options)
	if not ok then
		return nil, err
	end
	if sock:getreusedtimes() > 0 then
		return sock
	end
	sock:send(self.startup)
	ok, err = read_answer(sock)
	if not ok then
		return nil, err
	end
	sock:send(self.prepare)
	ok, err = read_answer(sock)
	return ok and sock, err
end

-- Give it back, with no answer outstanding.
function Database:put(sock)
	sock:setkeepalive(IDLE, self.connections)
end

-- A prepared statement with its parameters, which are texts.  Returns a list of rows, or nil and why.
function _M.query(sock, name, ...)
	local count = select("#", ...)
	local out = { "\0", name, "\0\0\0", int16(count) }
	for i = 1, count do
		local text = select(i, ...)
		out[#out + 1] = int32(#text)
		out[#out + 1] = text
	end
	out[#out + 1] = "\0\0"
	sock:send(message("B", concat(out)) .. EXECUTE_SYNC)
	return read_answer(sock)
end

return _M

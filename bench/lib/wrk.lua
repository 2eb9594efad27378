-- SPDX-License-Identifier: ISC
-- For wrk: requests as a browser sends them; %r in the address is another number each time.  The result is one line
-- of JSON on standard error; times are in microseconds.
--
-- Arguments: the address; "keep" or "close"; how high %r goes.
local DIFFERENT = 4096	-- requests are made beforehand and sent over and over

local requests, last = {}, 0

function init(args)
	local uri, connection, top = args[1], args[2], tonumber(args[3])
	wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	wrk.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	wrk.headers["Accept-Language"] = "en-US,en;q=0.5"
	wrk.headers["Accept-Encoding"] = "gzip, deflate, br"
	wrk.headers["Cookie"] = "session=0f3a5c9be1d24a7788c5e3f2; theme=light"
	wrk.headers["Upgrade-Insecure-Requests"] = "1"
	wrk.headers["Connection"] = connection == "keep" and "keep-alive" or "close"
	math.randomseed(1)
	for i = 1, uri:find("%r", 1, true) and DIFFERENT or 1 do
		requests[i] = wrk.format("GET", (uri:gsub("%%r", tostring(math.random(top)))))
	end
end

function request()
	last = last % #requests + 1
	return requests[last]
end

function done(summary, latency)
	local e = summary.errors
	io.stderr:write(string.format(
	    '{"answered": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f}\n',
	    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
	    latency:percentile(50), latency:percentile(99)))
end

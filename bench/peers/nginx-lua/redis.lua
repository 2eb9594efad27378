-- SPDX-License-Identifier: ISC
-- A GET with the package lua-nginx-redis; the connection comes from the worker's pool and goes back there.
local redis = require "nginx.redis"

local red = redis:new()
local ok, err = red:connect("unix:@REDIS@")
if not ok then
	ngx.log(ngx.ERR, err)
	return ngx.exit(503)
end
local value
value, err = red:get(ngx.var.arg_key)
if not value then
	ngx.log(ngx.ERR, err)
	return ngx.exit(502)
end
red:set_keepalive(60000, 64)
ngx.header["Content-Length"] = #value
ngx.print(value)

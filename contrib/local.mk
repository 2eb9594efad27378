# contrib: configurations of what stands around weft
contribdir = $(docdir)/contrib
dist_contrib_DATA = \
	contrib/README.md \
	contrib/Caddyfile contrib/h2o.yaml \
	contrib/apache-cgi.conf contrib/apache-fcgid.conf contrib/apache-fcgid-authorizer.conf contrib/apache-proxy.conf \
	contrib/haproxy.cfg \
	contrib/lighttpd.conf contrib/lighttpd-authorizer.conf contrib/lighttpd-cgi.conf contrib/lighttpd-spawn.conf \
	contrib/nginx.conf contrib/nginx-close.conf \
	contrib/weft.cgi contrib/weft.service

# man: the manual.  A page of section 3 is for a family of functions; make install gives it a link for
# each name that its NAME section lists.  tests/man keeps this list, the pages and the code together.
dist_man_MANS += \
	man/weft-gate.8 \
	man/weft.1 \
	man/weft.7 \
	man/weft.conf.5 \
	man/weft_alloc.3 \
	man/weft_body.3 \
	man/weft_fault.3 \
	man/weft_http.3 \
	man/weft_input.3 \
	man/weft_lease.3 \
	man/weft_module.3 \
	man/weft_redis.3 \
	man/weft_request.3 \
	man/weft_response.3 \
	man/weft_sql.3 \
	man/weft_sql_open.3 \
	man/weft_subscribe.3 \
	man/weft_wait.3

# name=page
MAN_ALIASES = \
	weft_strdup=weft_alloc weft_sprintf=weft_alloc weft_defer=weft_alloc \
	weft_body_read=weft_body \
	weft_fail=weft_fault weft_error=weft_fault weft_fault_code=weft_fault weft_fault_text=weft_fault \
	weft_strerror=weft_fault weft_log=weft_fault weft_stderr=weft_fault weft_rc=weft_fault \
	WEFT_OK=weft_fault \
	weft_http_start=weft_http weft_call_http=weft_http weft_http_path=weft_http weft_http_ask=weft_http \
	weft_http_field=weft_http weft_http_send=weft_http weft_http_send_start=weft_http weft_http_open=weft_http \
	weft_http_read=weft_http weft_http_close=weft_http weft_http_status=weft_http weft_http_header=weft_http \
	weft_http_header_at=weft_http weft_http_body=weft_http \
	weft_query=weft_input weft_form=weft_input weft_cookie=weft_input \
	weft_begin=weft_lease weft_commit=weft_lease weft_rollback=weft_lease weft_lend=weft_lease weft_give=weft_lease \
	weft_lease_sql=weft_lease weft_lease_sql_values=weft_lease weft_lease_sql_n=weft_lease weft_lease_redis=weft_lease \
	WEFT_MODULE=weft_module WEFT_MODULE_INIT=weft_module weft_route=weft_module weft_handler=weft_module \
	WEFT_ABI_MAJOR=weft_module WEFT_ABI_MINOR=weft_module WEFT_API=weft_module WEFT_CHECK=weft_module \
	WEFT_PRINTF=weft_module \
	weft_redis_start=weft_redis weft_redis_values=weft_redis weft_redis_script=weft_redis weft_call_reply=weft_redis \
	weft_reply=weft_redis weft_reply_type=weft_redis weft_reply_text=weft_redis \
	weft_reply_int=weft_redis weft_reply_count=weft_redis weft_reply_at=weft_redis \
	weft_method=weft_request weft_path=weft_request weft_param=weft_request weft_header=weft_request \
	weft_role=weft_request weft_var=weft_request weft_var_at=weft_request \
	weft_status=weft_response weft_set_header=weft_response weft_add_header=weft_response weft_set_variable=weft_response \
	weft_write=weft_response weft_puts=weft_response weft_printf=weft_response weft_html=weft_response \
	weft_json=weft_response weft_flush=weft_response weft_redirect=weft_response \
	weft_sql_start=weft_sql weft_sql_values=weft_sql weft_sql_n=weft_sql weft_sql_start_n=weft_sql \
	weft_call_rows=weft_sql weft_value=weft_sql weft_value_text=weft_sql WEFT_TEXT=weft_sql \
	WEFT_INT=weft_sql WEFT_REAL=weft_sql WEFT_BYTES=weft_sql WEFT_NULL_VALUE=weft_sql \
	WEFT_SQL_PARAMS_MAX=weft_sql WEFT_SQL_VALUES_MAX=weft_sql weft_rows=weft_sql weft_rows_count=weft_sql weft_rows_columns=weft_sql \
	weft_rows_affected=weft_sql weft_rows_name=weft_sql weft_rows_text=weft_sql weft_rows_bytes=weft_sql \
	weft_rows_int=weft_sql weft_rows_real=weft_sql weft_rows_is_null=weft_sql weft_rows_type=weft_sql weft_type=weft_sql WEFT_TYPE_NULL=weft_sql \
	WEFT_TYPE_INT=weft_sql WEFT_TYPE_REAL=weft_sql WEFT_TYPE_TEXT=weft_sql WEFT_TYPE_BYTES=weft_sql \
	weft_sql_open_values=weft_sql_open weft_sql_open_n=weft_sql_open weft_lease_sql_open=weft_sql_open \
	weft_lease_sql_open_values=weft_sql_open weft_lease_sql_open_n=weft_sql_open weft_stream=weft_sql_open \
	weft_sql_head=weft_sql_open weft_sql_next=weft_sql_open weft_sql_close=weft_sql_open \
	weft_message=weft_subscribe weft_unsubscribe=weft_subscribe weft_subscription=weft_subscribe \
	weft_sleep=weft_wait weft_wait_fd=weft_wait WEFT_READ=weft_wait WEFT_WRITE=weft_wait \
	weft_offload=weft_wait weft_spawn=weft_wait weft_wait_all=weft_wait weft_idempotent=weft_wait weft_call=weft_wait \
	weft_time_left=weft_wait weft_deadline=weft_wait weft_shield=weft_wait weft_unshield=weft_wait WEFT_SHIELD_MAX=weft_wait

install-data-hook:
	@for alias in $(MAN_ALIASES); do \
		$(LN_S) -f "$${alias#*=}.3" "$(DESTDIR)$(man3dir)/$${alias%=*}.3" || exit 1; \
	done

uninstall-hook:
	@for alias in $(MAN_ALIASES); do rm -f "$(DESTDIR)$(man3dir)/$${alias%=*}.3"; done

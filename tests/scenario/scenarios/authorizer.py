# SPDX-License-Identifier: ISC
"""Web servers that ask weft first whether a request may pass."""
import base64

from lib import fcgi, fronts
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import BASIC, PROBE, Weft

MEMBERS = BASIC + 'module "members" { file = "@MODULES@/probe.so"  prefix = "/members" }\n'


class Guarded(Stage):
    """One web server, and weft behind it for both: as who says yes and as who answers."""

    def open(self):
        kind = getattr(fronts, self.arguments[0])
        if not kind.is_there():
            raise Failure(f"no {kind.program} here")
        self.weft = Weft(self.place, MEMBERS).start()
        self.front = kind(self.place).start()
        wait_until(lambda: self.get("op=ok&may=yes").is_ok, "a request passes", 15, 0.05)

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)


def allowed(stage):
    answer = stage.get("op=ok&may=yes")
    check(answer.is_ok and answer.body == b"ok", f"answered {answer} {answer.body!r}")


def denied(stage):
    for query in ("op=ok", "op=ok&may=no"):
        answer = stage.get(query)
        check(answer.status == {"AUTHORIZER": 403}.get(stage.arguments[1], 401) and b"ok" not in answer.body, f"answered {answer} {answer.body!r}")


def another_method(stage):
    """The role is another thing than the method, and a body is for who answers."""
    answer = stage.get("op=echo&may=yes", method="POST", body=b"x" * 100000)
    check(answer.is_ok and answer.body == b"x" * 100000, f"answered {answer.status} {answer.error} {answer.headers} {len(answer.body)} bytes")
    answer = stage.get("op=echo&may=no", method="POST", body=b"x" * 100000)
    check(answer.status in (401, 403), f"answered {answer}")
    answer = stage.get("op=ok&may=yes", method="AUTHORIZE")
    check(answer.status != 200 or answer.body == b"ok", f"answered {answer} {answer.body!r}")


def a_variable_for_who_answers(stage):
    for name, want in (("PROBE_MAY", stage.arguments[1]), ("PROBE_METHOD", "GET")):
        answer = stage.get(f"op=env&name={name}&may=yes")
        check(answer.is_ok and answer.body == want.encode(), f"{name}: {answer} {answer.body!r}")


def a_variable_of_the_client(stage):
    """A header of the client does not become one."""
    answer = stage.get("op=env&name=PROBE_MAY&may=no", headers=[("Variable-PROBE_MAY", "forged")])
    check(answer.status in (401, 403), f"answered {answer}")
    answer = stage.get("op=env&name=PROBE_MAY&may=yes", headers=[("Variable-PROBE_MAY", "forged")])
    check(answer.is_ok and answer.body == stage.arguments[1].encode(), f"{answer} {answer.body!r}")


def no_authorizer_for_the_path(stage):
    """Who is not asked says no."""
    for path in ("/app-x", "/other"):
        answer = fcgi_asks(stage, path)
        check(answer.code == 403, f"{path}: {answer.head!r}")


def fcgi_asks(stage, uri):
    with fcgi.Connection(stage.weft.socket) as conn:
        conn.send(fcgi.begin(1, fcgi.AUTHORIZER) + fcgi.params(1, fcgi.variables(uri)))
        return conn.gather([1])[1]


for one in (("LighttpdAuthorizer", "AUTHORIZER"), ("ApacheFcgidAuthorizer", "ACCESS_CHECKER")):
    for function in (allowed, denied, another_method, a_variable_for_who_answers, a_variable_of_the_client,
                     no_authorizer_for_the_path):
        scenario(Guarded, *one, name=function.__name__)(function)


@scenario(Guarded, "LighttpdAuthorizer", "AUTHORIZER")
def a_redirect_instead(stage):
    answer = stage.get("op=ok&may=form")
    check(answer.status == 303 and answer.headers.get("location", "").endswith("/form"), f"answered {answer} {answer.headers}")


@scenario(Guarded, "LighttpdAuthorizer", "AUTHORIZER")
def the_text_of_who_says_no(stage):
    answer = stage.get("op=ok&may=no")
    check(answer.status == 403 and answer.body == b"the probe says no\n", f"answered {answer} {answer.body!r}")


def members(stage, query, user="anna"):
    headers = [("Authorization", "Basic " + base64.b64encode(f"{user}:secret".encode()).decode())] if user else []
    return stage.front.fetch(f"/members/probe?{query}", headers=headers)


@scenario(Guarded, "ApacheFcgidAuthorizer", "ACCESS_CHECKER")
def users_and_what_they_may(stage):
    answer = members(stage, "op=env&name=PROBE_MAY&may=yes")
    # It asks twice, and joins what both said.
    check(answer.is_ok and answer.body == b"AUTHENTICATOR, AUTHORIZER", f"answered {answer} {answer.body!r}")
    answer = members(stage, "op=env&name=REMOTE_USER&may=yes")
    check(answer.is_ok and answer.body == b"anna", f"answered {answer} {answer.body!r}")
    for user, may in (("anna", "no"), ("", "yes")):
        answer = members(stage, f"op=ok&may={may}", user)
        check(answer.status == 401, f"{user}: answered {answer}")

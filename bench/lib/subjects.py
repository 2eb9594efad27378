# SPDX-License-Identifier: ISC
"""All that is measured, in the order in which it is shown."""
from .ours import Floor, WeftProbe, WeftServer, WeftTcp
from .peers_fastcgi import Go, Libfcgi, PhpFpm
from .peers_http import Front, Kore, NginxLua
from .techempower_servers import KoreTechempower, LuaTechempower, WeftTechempower

# Two of one name are one in the tables: no case is asked of both.
SUBJECTS = (Floor, WeftServer, WeftTechempower, WeftTcp, WeftProbe, Libfcgi, PhpFpm, Go, NginxLua, LuaTechempower, Kore,
            KoreTechempower)

# What the others are divided by: the least that is possible, and ourselves.
BASE = Floor.name
UNIT = WeftServer.name


def choose(names):
    """The classes of these names; of no names all.  Raises KeyError for a name that is none."""
    chosen = []
    for name in names or []:
        of_name = [kind for kind in SUBJECTS if kind.name.lower() == name.lower()]
        if not of_name:
            raise KeyError(name)
        chosen += of_name
    return chosen or list(SUBJECTS)


def missing(kinds, cases):
    """The packages that are not installed and that these need."""
    fronts = [Front] if any(case.is_fronted for case in cases) else []
    return sorted({package for kind in [*kinds, *fronts] for package in kind.missing()})

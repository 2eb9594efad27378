# SPDX-License-Identifier: ISC
"""What the tests of the manual pages have in common: pages, headers and compilers."""
import os
import re
import shlex
import shutil
import subprocess
import sys

srcdir = os.environ.get("srcdir", ".")
CC = shlex.split(os.environ.get("CC", "cc"))
INCLUDE = ["-I" + os.path.join(srcdir, "src/include")]
SKIP = 77

faults = []


def fault(text):
    """Note what is wrong; the test goes on."""
    faults.append(text)
    print(text)


def end():
    """The exit status says whether anything was wrong."""
    sys.stdout.flush()
    sys.exit(1 if faults else 0)


def path(name):
    return os.path.join(srcdir, name)


def read(name):
    with open(path(name), encoding="utf-8") as file:
        return file.read()


def pages(sections):
    """The names of the pages of these sections: man/weft.1 ..."""
    found = sorted("man/" + name for name in os.listdir(path("man")) if re.search(rf"\.[{sections}]$", name))
    if not found:
        sys.exit("no pages in " + path("man"))
    return found


def section(text, title):
    """The lines of one section of a page."""
    match = re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S)
    return match.group(1) if match else ""


def plain(text):
    """Text of a literal display as it is printed."""
    for escape, what in ((r"\e", "\\"), (r"\(dq", '"'), (r"\(aq", "'"), (r"\-", "-"), (r"\&", "")):
        text = text.replace(escape, what)
    return text


def literals(text):
    """The literal displays of a page."""
    return [plain(block) for block in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", text, re.M | re.S)]


def flags(*libraries):
    """Compiler flags of those libraries that are there."""
    out = []
    for library in libraries:
        done = subprocess.run(["pkg-config", "--cflags", library], capture_output=True, text=True, check=False)
        out += shlex.split(done.stdout) if done.returncode == 0 else []
    return out


def compile_text(what, text, options, compiler=None, language="c"):
    """Check a source text; its complaints are a fault of WHAT.  Returns whether it is good."""
    command = (compiler or CC) + options + ["-fsyntax-only", "-x", language, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fault(f"{what} does not compile:\n{done.stderr}")
    return done.returncode == 0


def have(program):
    return shutil.which(program) is not None

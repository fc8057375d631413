# SPDX-License-Identifier: GPL-2.0-only
"""What other people's programs say about the text."""
import pathlib
import re
import shutil
import sys
import tempfile

from rules import run, shell
from tree import MODULE_DIRS, Skip, check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))


def need(program, package):
    if not shutil.which(program):
        raise Skip(f"{program} is missing: apt-get install {package}")


def output(done):
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]


@check("shellcheck", {"a.sh": "#!/bin/sh\n# SPDX\necho $1\n"})
def shellcheck(tree):
    need("shellcheck", "shellcheck")
    files = shell(tree)
    return output(run("shellcheck", "-f", "gcc", *files, cwd=tree.top)) if files else []


@check("pyflakes", {"a.py": "import os\n"})
def pyflakes(tree):
    need("pyflakes3", "pyflakes3")
    files = tree.scripts(["python3"], (".py",))
    return output(run("pyflakes3", *files, cwd=tree.top)) if files else []


@check("man pages", {"docs/man/a.8": ".TH A 8\n.SH NAME\na \\- b\n.XYZ nothing\n.IP \\[nochar]\n"})
def man_pages(tree):
    need("man", "man-db")
    found = []
    for name in [f for f in tree.files if re.search(r"\.[1-9]$", f)]:
        done = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(tree.top / name),
                   env={"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PATH": "/usr/bin:/bin"})
        found += [f"{name}: {line}" for line in done.stderr.splitlines() if line.strip()]
    return found


def kernel_script(name):
    """A script of the kernel's, from the headers in the build root of the module matrix."""
    import roots
    try:
        root = roots.ensure()
    except roots.RootError as e:
        raise Skip(str(e)) from e
    for path in sorted([*root.glob(f"usr/lib/linux-kbuild-*/scripts/{name}"), *root.glob(f"checkpatch/{name}")]):
        return path
    raise Skip(f"the kernel's packages have no scripts/{name}")


@check("kernel-doc", {"include/pvhvm/a.h": "/**\n * f() - does\n * @b: no such\n */\nint f(int a);\n"})
def kernel_doc(tree):
    """What crosses a module is described completely, in the form that the kernel's tools read."""
    script = kernel_script("kernel-doc")
    files = tree.code("include")
    done = run("perl", str(script), "-none", *files, cwd=tree.top)
    return [line for line in output(done) if re.search(r"warning|error", line)]


# What checkpatch asks of the kernel's own tree and does not fit here.
NOT_HERE = (
    "CAMELCASE",              # Xen's names: XenbusStateClosing
    "ENOSYS",                 # Xen answers it for a call that it does not know
    "PREFER_KERNEL_TYPES",    # pure code compiles in user space, too,
    "BIT_MACRO",              # where these macros
    "ARRAY_SIZE",             # are not at hand
    "UNSPECIFIED_INT",        # unsigned __int128
    "CONST_STRUCT",           # a bus is not const before 6.9
    "MACRO_ARG_REUSE",        # tables of attributes and counters are made by macros
    "EMBEDDED_FILENAME",      # a file's first line says what it is for
    "UNCOMMENTED_DEFINITION",  # what a lock protects stands in its struct's kernel-doc
    "LONG_LINE_STRING",       # messages stay in one piece
    "FILE_PATH_CHANGES",
    "LINUX_VERSION_CODE",     # checked by a rule of its own
)


@check("checkpatch", {"xenbus/a.c": "// SPDX-License-Identifier: GPL-2.0-only\nint f( int a ){ return a ;}\n"})
def checkpatch(tree):
    script = kernel_script("checkpatch.pl")
    # not compat/: shadows are macros of a kind that it rightly dislikes elsewhere
    files = tree.code(*MODULE_DIRS, "include")
    with tempfile.TemporaryDirectory() as folder:    # it leaves a file where it runs
        for name in files:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # it knows that this stands right behind the function
            path.write_text(tree.text(name).replace("PVHVM_EXPORT(", "EXPORT_SYMBOL_GPL("))
        done = run("perl", str(script), "--no-tree", "--strict", "--terse", "--show-types", "--no-summary",
                   "--max-line-length=100", "--ignore", ",".join(NOT_HERE), "-f", *files, cwd=folder)
    return [line for line in output(done)
            if re.search(r"(ERROR|WARNING|CHECK):", line)]

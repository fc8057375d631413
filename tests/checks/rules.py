# SPDX-License-Identifier: GPL-2.0-only
"""What the project promises about its own text."""
import os
import re
import subprocess

from tree import MODULE_DIRS, check, without_comments

# Formats that have no comments, or whose licence another file states.
NO_SPDX = (".md", ".json", ".txt", ".gitignore")
NO_SPDX_FILES = ("VERSION", "packaging/debian/control", "packaging/debian/copyright",
                 "packaging/debian/changelog.in", "packaging/debian/source/format")
SELF = "tests/checks/"


def grep(tree, files, pattern, why, code_only=False):
    found = []
    for name in files:
        text = without_comments(tree.text(name)) if code_only else tree.text(name)
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name}:{number}: {why}")
    return found


@check("spdx", {"a.c": "int a;\n"})
def spdx(tree):
    """Every file states its licence in its first three lines."""
    return [f"{name}: no SPDX-License-Identifier in the first three lines" for name in tree.files
            if not name.endswith(NO_SPDX) and name not in NO_SPDX_FILES and tree.bytes(name)
            and "SPDX-License-Identifier:" not in "\n".join(tree.text(name).splitlines()[:3])]


@check("version tests", {"xenbus/a.c": "#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)\n#endif\n"})
def version_tests(tree):
    files = [f for f in tree.code() if not f.startswith(("compat/", "tests/", "testbed/"))]
    return grep(tree, files, r"\b(LINUX_VERSION_CODE|KERNEL_VERSION)\b", "version test outside compat/", True)


@check("exports", {"xenbus/a.c": "EXPORT_SYMBOL_GPL(gnttab_init);\nPVHVM_EXPORT(bind_it);\n"})
def exports(tree):
    """An export whose name the kernel has as well keeps the module from loading."""
    files = [f for f in tree.code() if f != "include/pvhvm/export.h"]
    return (grep(tree, files, r"\bEXPORT_SYMBOL\w*\s*\(", "export without PVHVM_EXPORT", True)
            + grep(tree, files, r"\bPVHVM_EXPORT\((?!_*pvhvm_)", "exported name without pvhvm_", True))


@check("no BUG", {"netfront/a.c": "void f(int a)\n{\n\tBUG_ON(a);\n}\n"})
def no_bug(tree):
    return grep(tree, tree.code(*MODULE_DIRS, "include", "compat"), r"\b(BUG|BUG_ON|panic)\s*\(",
                "the guest must survive: no BUG(), no panic()", True)


@check("ring entries", {"netfront/a.c": "void f(void)\n{\n\tx = s->ring[i & 3].req;\n}\n"})
def ring_entries(tree):
    """Beyond the first they are out of bounds of the array that Xen's headers declare: a kernel may check."""
    return grep(tree, tree.code(*MODULE_DIRS, "include"), r"->ring\[(?!0\])", "not by PVHVM_RING_ENTRY()", True)


# Header of include/pvhvm: lowest layer that offers it.
LAYER = {"platform-pci": 0, "xenbus": 1, "netfront": 2, "blkfront": 2}
UPPER_HEADERS = {"bus.h": 1, "xs.h": 1}


@check("arrows", {"platform-pci/a.c": "#include <pvhvm/bus.h>\n", "netfront/a.c": '#include "../blkfront/b.h"\n'})
def arrows(tree):
    """platform-pci <- xenbus <- frontends, and only through include/pvhvm."""
    found = []
    for name in tree.code(*MODULE_DIRS):
        own = name.split("/")[0]
        for number, line in tree.lines(name):
            match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            parts = match.group(1).split("/")
            if parts[0] == "pvhvm" and UPPER_HEADERS.get(parts[-1], 0) > LAYER[own]:
                found.append(f"{name}:{number}: {own} includes <pvhvm/{parts[-1]}> of a layer above")
            others = [p for p in parts[:-1] if p in MODULE_DIRS and p != own]
            if others:
                found.append(f"{name}:{number}: {own} includes a private header of {others[0]}")
    return found


@check("xen headers", {"netfront/a.c": "#include <xen/interface/io/netif.h>\n"})
def xen_headers(tree):
    """The kernel's private copies collide with Xen's own; see include/pvhvm/abi.h."""
    files = [f for f in tree.code(*MODULE_DIRS, "include") if f != "platform-pci/inkernel.c"]
    return grep(tree, files, r"#\s*include\s*<(asm/)?xen/", "the kernel's copy of a Xen header")


@check("one machine", {"a.md": "see /home/someone/x\n", "b.md": "deb http://deb.debian.org/debian x\n"})
def one_machine(tree):
    """No path or host of the machine that something was written on."""
    pattern = r"(^|[\s\"'=(])/(work|home|root)/|\bdebian\.org/debian|\b(ftp|mirrors?)\.\w+\.(org|com|net)"
    return grep(tree, [f for f in tree.files if not f.startswith(SELF)], pattern,
                "a path or host of one machine")


@check("no binaries", {"a.bin": "\0\1\2"})
def no_binaries(tree):
    return [f"{name}: binary file" for name in tree.files if b"\0" in tree.bytes(name)]


@check("whitespace", {"a.sh": "echo \n", "b.sh": "echo"})
def whitespace(tree):
    # an empty line of context is a blank in a patch
    found = grep(tree, [f for f in tree.files if not f.startswith("LICENSES/") and not f.endswith(".patch")],
                 r"[ \t]+$", "trailing blanks")
    return found + [f"{name}: no newline at the end" for name in tree.files
                    if tree.bytes(name) and not tree.bytes(name).endswith(b"\n")]


@check("line width", {"xenbus/a.c": "int " + "a" * 100 + ";\n"})
def line_width(tree):
    """Up to 100 columns; a message stays in one piece, so that it can be searched for."""
    found = []
    for name in tree.code():
        for number, line in tree.lines(name):
            if len(line.expandtabs(8)) > 100 and '"' not in line:
                found.append(f"{name}:{number}: wider than 100 columns")
    return found


@check("kbuild", {"Kbuild": "pvhvm_xenbus-y := $(addprefix xenbus/, \\\n\tmain.o)\n", "xenbus/comms.c": ""})
def kbuild(tree):
    """Each source is built, and each object has a source."""
    text = tree.text("Kbuild").replace("\\\n", " ")
    listed = {f"{folder}/{obj[:-2]}.c" for folder, objs in re.findall(r"\$\(addprefix ([\w-]+)/,([^)]*)\)", text)
              for obj in objs.split()}
    present = set(tree.code(*MODULE_DIRS, suffixes=(".c",)))
    return ([f"Kbuild: {name} is not built" for name in sorted(present - listed)]
            + [f"Kbuild: {name} does not exist" for name in sorted(listed - present)])


@check("compat", {"compat/linux/a.h": "#ifdef HAVE_B\n#endif\n", "compat/probes/c.c": "int a;\n"})
def compat(tree):
    """Shadows include what they shadow; each answer is asked for and each question used."""
    found, used = [], set()
    for name in tree.code("compat", suffixes=(".h",)):
        used |= set(re.findall(r"\bHAVE_\w+", without_comments(tree.text(name))))
        if "#include_next" not in tree.text(name) and "__has_include" not in tree.text(name):
            found.append(f"{name}: shadows a kernel header without #include_next")
    probes = {f.split("/")[-1][:-2] for f in tree.code("compat", suffixes=(".c",))}
    asked = {f"HAVE_{p.upper()}" for p in probes if not p.startswith("canary_")}
    return (found + [f"compat: nothing probes {have}" for have in sorted(used - asked)]
            + [f"compat: nothing uses {have}" for have in sorted(asked - used)])


@check("version", {"VERSION": "1.2.3\n", "dkms.conf": 'PACKAGE_VERSION="1.2.2"\n', "CHANGELOG.md": "## 1.2.2\n"})
def version(tree):
    """VERSION states it; everything else takes it from there or agrees."""
    number = tree.text("VERSION").strip()
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", number):
        found.append(f"VERSION: {number!r} is not X.Y.Z")
    if 'PACKAGE_VERSION="#MODULE_VERSION#"' not in tree.text("dkms.conf"):
        found.append("dkms.conf: PACKAGE_VERSION is not filled in from VERSION")
    heads = re.findall(r"^## \[?([\w.]+)", tree.text("CHANGELOG.md"), re.M)
    if not heads or heads[0] != number:
        found.append(f"CHANGELOG.md: newest entry is {heads[:1]}, VERSION is {number}")
    if tree.has("packaging/debian/changelog.in") and "pvhvm (@VERSION@)" not in \
            tree.text("packaging/debian/changelog.in"):
        found.append("packaging/debian/changelog.in: version not filled in from VERSION")
    for name in tree.files:
        if name.startswith("docs/man/") or name.startswith("tools/"):
            for line, text in tree.lines(name):
                match = re.search(r"\bpvhvm[ -]v?(\d+\.\d+\.\d+)", text)
                if match and match.group(1) != number:
                    found.append(f"{name}:{line}: says {match.group(1)}, VERSION is {number}")
    return found


@check("kernel range", {"KERNELS": "KERNEL_MIN=5.10\nKERNEL_MAX=7.3\nKERNEL_NEEDS=SMP\n", "README.md": "kernels 5.10 to 7.3\n",
                        "dkms.conf": 'BUILD_EXCLUSIVE_KERNEL="^5"\n'})
def kernel_range(tree):
    """dkms.conf, which can only hold a pattern, agrees with KERNELS; so does the README."""
    bounds = dict(re.findall(r"^(KERNEL_\w+)=([\d.]+)$", tree.text("KERNELS"), re.M))
    low, high = bounds["KERNEL_MIN"], bounds["KERNEL_MAX"]
    match = re.search(r'^BUILD_EXCLUSIVE_KERNEL="(.*)"$', tree.text("dkms.conf"), re.M)
    if not match:
        return ["dkms.conf: no BUILD_EXCLUSIVE_KERNEL"]
    found = []
    series = [f"{a}.{b}" for a in range(3, 12) for b in range(0, 30)]
    for one in series:
        wanted = [int(x) for x in one.split(".")] >= [int(x) for x in low.split(".")]
        # as dkms does it, with bash's own pattern matching
        if bool(re.search(match.group(1), f"{one}.0-1-amd64")) != wanted:
            found.append(f"dkms.conf: BUILD_EXCLUSIVE_KERNEL is wrong for {one}")
            break
    needs = re.search(r"^KERNEL_NEEDS=(.*)$", tree.text("KERNELS"), re.M).group(1).split(",")
    if f'BUILD_EXCLUSIVE_CONFIG="{" ".join(f"CONFIG_{name}" for name in needs)}"' not in tree.text("dkms.conf"):
        found.append("dkms.conf: BUILD_EXCLUSIVE_CONFIG is not KERNEL_NEEDS")
    readme = tree.text("README.md")
    found += [f"README.md: does not name {edge}" for edge in (low, high) if edge not in readme]
    return found


@check("readme", {"README.md": "# x\n\nmake demo\n", "Makefile": "demo:\ntest:\n"})
def readme(tree):
    """The two commands are in the README, and make knows every target that the documents name."""
    found = [f"README.md: does not name '{c}'" for c in ("make demo", "make test")
             if c not in tree.text("README.md")]
    targets = set(" ".join(re.findall(r"^([\w. -]+):", tree.text("Makefile"), re.M)).split())
    for name in [f for f in tree.files if f.endswith(".md")]:
        for line, text in tree.lines(name):
            for target in re.findall(r"(?:`|^ {4,})make ([a-z][\w.-]*)(?=[`\s])", text):
                if target not in targets:
                    found.append(f"{name}:{line}: the Makefile has no target {target}")
    return found


@check("links", {"a.md": "[x](docs/none.md)\n"})
def links(tree):
    found = []
    for name in [f for f in tree.files if f.endswith(".md")]:
        for number, line in tree.lines(name):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                path = os.path.normpath(os.path.join(os.path.dirname(name), target))
                if "://" not in target and not (tree.top / path).exists():
                    found.append(f"{name}:{number}: {target} does not exist")
    return found


@check("features", {"docs/features.md": "| a | yes | `vm/test_a.py::test_gone` |\n| b | yes | |\n| c | yes | `gone` of `make test-packages-all` |\n",
                    "tests/vm/test_a.py": "def test_here():\n    pass\n"})
def features(tree):
    """A feature that is claimed names a test, and each test that is named exists."""
    name, found = "docs/features.md", []
    for number, line in tree.lines(name):
        named = re.findall(r"`((?:vm|tools)/test_\w+\.py)::(test_\w+)`", line)
        parts = [part for text in re.findall(r"((?:`\w+`(?:, | and )?)+) of `make test-packages", line) for part in re.findall(r"`(\w+)`", text)]
        if re.match(r"\| [^|]+ \| yes\b", line) and not named and not parts and not re.search(r"`test_\w+`", line):
            found.append(f"{name}:{number}: claimed without a test")
        found += [f"{name}:{number}: there is no {part} in tests/packages" for part in parts if
                  not any(re.search(rf"^def {part}\(", tree.text(f), re.M) or f == f"tests/packages/{part}.py"
                          for f in tree.files if f.startswith("tests/packages/"))]
        found += [f"{name}:{number}: there is no {test} in tests/{path}" for path, test in named
                  if not tree.has(f"tests/{path}") or f"def {test}(" not in tree.text(f"tests/{path}")]
    return found


@check("module names", {"dkms.conf": 'BUILT_MODULE_NAME[0]="pvhvm_nothing"\n', "Kbuild": "obj-m += pvhvm_xenbus.o\n"})
def module_names(tree):
    """dkms.conf and the package's scripts name only modules that exist, and dkms.conf all of them."""
    known = set(re.findall(r"\b(pvhvm_\w+)\.o", tree.text("Kbuild")))
    found = []
    for name in [f for f in tree.files if f == "dkms.conf" or f.startswith("packaging/debian/pvhvm-dkms.")]:
        for number, line in tree.lines(name):
            for word in re.findall(r"\bpvhvm_\w+", line.split("#")[0]):
                if word not in known:
                    found.append(f"{name}:{number}: no module {word}")
    return found + [f"dkms.conf: does not build {m}" for m in sorted(known) if f'"{m}"' not in tree.text("dkms.conf")]


@check("commands", {"tools/main.c": '\t{ "frob", command_frob },\n', "docs/man/pvhvm.8": ".B pvhvm status\n",
                    "tools/completion/pvhvm.bash": "frob) words= ;;\n", "tools/exit_codes.h": "PVHVM_ODD = 9,\n"})
def commands(tree):
    """Each subcommand and each exit status is in the manual; each subcommand in the completion."""
    page, completion = tree.text("docs/man/pvhvm.8"), tree.text("tools/completion/pvhvm.bash")
    found = []
    for name in re.findall(r'^\t\{ "(\w+)", command_', tree.text("tools/main.c"), re.M):
        found += [f"docs/man/pvhvm.8: no {what} of {name}" for what, form in
                  (("synopsis", rf"^\.B pvhvm {name}\b"), ("description", rf"^\.SS {name}$"))
                  if not re.search(form, page, re.M)]
        if not re.search(rf"^\s*{name}\)", completion, re.M):
            found.append(f"tools/completion/pvhvm.bash: does not know {name}")
    told = set(re.findall(r"^\.B (\d+)$", page.partition("EXIT STATUS")[2].partition(".SH ")[0], re.M))
    known = set(re.findall(r"\bPVHVM_\w+ = (\d+)", tree.text("tools/exit_codes.h")))
    return found + [f"exit status {n} is not in both tools/exit_codes.h and the manual"
                    for n in sorted(told ^ known)]


@check("goto labels", {"xenbus/a.c": "int f(void)\n{\n\tgoto fail2;\nfail2:\n\treturn 0;\n}\n"})
def goto_labels(tree):
    """A label says what is undone there, not which failure led to it."""
    return grep(tree, tree.code(*MODULE_DIRS, "compat", "tools", suffixes=(".c",)),
                r"^(err|error|fail|failed|out|bad|label)_?\d+:", "a goto label that does not say what it undoes", True)


@check("pr_fmt", {"xenbus/a.c": "#define pr_fmt(fmt) fmt\n", "xenbus/b.h": "#define pr_fmt(fmt) fmt\n"})
def pr_fmt(tree):
    """One prefix for a module: defined once, in the header that all its files include."""
    found = []
    for folder in MODULE_DIRS:
        places = [f for f in tree.code(folder)
                  if re.search(r"^#define pr_fmt\b", without_comments(tree.text(f)), re.M)]
        found += [f"{name}: pr_fmt belongs into the module's header" for name in places if not name.endswith(".h")]
        if len(places) > 1:
            found.append(f"{folder}: pr_fmt is defined {len(places)} times")
    return found


@check("loader", {"xenbus/a.c": 'MODULE_INFO(intree, "Y");\n'})
def loader(tree):
    """Nothing pretends to be part of the kernel or of another licence."""
    found = grep(tree, tree.code(*MODULE_DIRS, "include", "compat"), r"\bMODULE_INFO\s*\(\s*(intree|retpoline|vermagic)",
                 "tells the loader what is not so", True)
    for name in tree.code(*MODULE_DIRS, suffixes=(".c",)):
        for number, line in tree.lines(name):
            if re.search(r"\bMODULE_LICENSE\(", line) and '"GPL"' not in line:
                found.append(f"{name}:{number}: the licence is GPL")
    return found


@check("given kernel", {"Kbuild": "X := $(shell uname -r)\n", "dkms.conf": 'REMAKE_INITRD="yes"\n'})
def given_kernel(tree):
    """A build looks at the kernel folder it was given, not at the machine it runs on; dkms.conf is up to date."""
    files = [f for f in tree.files if f in ("Kbuild", "dkms.conf") or f.startswith("compat/")]
    found = grep(tree, files, r"\buname\b|os-release|lsb_release|/etc/debian_version",
                 "looks at the machine that builds")
    return found + grep(tree, [f for f in files if f == "dkms.conf"],
                        r"^(REMAKE_INITRD|MODULES_CONF\w*|CLEAN_BUILD|OBSOLETE_BY)\b", "dkms no longer knows this")


@check("module sources", {"Makefile": "MODULE_SOURCES := Kbuild compat\n",
                          "packaging/debian/rules": "MODULE_SOURCES := Makefile Kbuild\n"})
def module_sources(tree):
    """What a module build takes is the same list for make and for both kinds of package."""
    def listed(name, form):
        match = re.search(form, tree.text(name).replace("\\\n", " ")) if tree.has(name) else None
        return set(match.group(1).split()) - {"Makefile", "dkms.conf"} if match else set()
    wanted = listed("Makefile", r"MODULE_SOURCES := ([^\n]*)")
    return [f"{name}: not the Makefile's MODULE_SOURCES: {' '.join(sorted(wanted ^ listed(name, form)))}"
            for name, form in (("packaging/debian/rules", r"MODULE_SOURCES := ([^\n]*)"),
                               ("packaging/rpm/pvhvm.spec", r"cp -a ([^%\n]*)%"))
            if listed(name, form) != wanted]


@check("unfinished", {"xenbus/a.c": "/* TODO: this */\n"})
def unfinished(tree):
    """What is not done is an issue, not a mark in the text."""
    return grep(tree, [f for f in tree.files if not f.startswith((SELF, "LICENSES/")) and not f.endswith(".patch")],
                r"\b(TODO|FIXME|XXX)\b", "a mark of something unfinished")


@check("tiers", {"tests/run": '    "odd": (["x"], 1),\n', "Makefile": "test:\n", "CONTRIBUTING.md": "# x\n"})
def tiers(tree):
    """Each tier of the tests has its make target, and CONTRIBUTING tells of it."""
    names = re.findall(r'^    "([\w-]+)": \(\[', tree.text("tests/run"), re.M)
    return [f"{where}: no test-{name}" for name in names for where in ("Makefile", "CONTRIBUTING.md")
            if not re.search(rf"\btest-{name}(?![\w-])", tree.text(where))]


@check("parameters", {"Kbuild": "pvhvm_xenbus-y := $(addprefix xenbus/, main.o)\n",
                      "xenbus/main.c": 'module_param(a, int, 0444);\nMODULE_PARM_DESC(a, "one (default 1)");\n',
                      "docs/parameters.md": "# Module parameters\n", "docs/man/pvhvm_xenbus.4": ".BI a= N\n"})
def parameters(tree):
    """docs/parameters.md is what 'make docs' writes; each module's manual has the same parameters."""
    script = os.path.join(os.path.dirname(__file__), "../../docs/make-parameters")
    done = run(script, str(tree.top))
    if done.returncode:
        return [done.stderr.strip()]
    found = []
    if done.stdout != tree.text("docs/parameters.md"):
        found.append("docs/parameters.md is not what the modules say: run 'make docs'")
    for module, rows in re.findall(r"^## (\w+)\n\n((?:\|.*\n)+)", done.stdout, re.M):
        known = set(re.findall(r"^\| `(\w+)`", rows, re.M))
        page = f"docs/man/{module}.4"
        told = set(re.findall(r"^\.B[IR]* (\w+)\s*=", tree.text(page), re.M)) if tree.has(page) else set()
        found += [f"{page}: does not tell of {p}" for p in sorted(known - told)]
        found += [f"{page}: tells of {p}, which is no parameter" for p in sorted(told - known)]
    return found


@check("attributes", {"blkfront/sysfs.c": "static DEVICE_ATTR_RO(depth);\n\tSYSFS_STAT(hits),\n",
                      "docs/man/pvhvm_blkfront.4": ".I depth\nHow deep, and hits.\n"})
def attributes(tree):
    """Each attribute in sysfs is in its module's manual."""
    found = []
    for folder, module in (("platform-pci", "platform"), ("xenbus", "xenbus"), ("blkfront", "blkfront")):
        page = f"docs/man/pvhvm_{module}.4"
        marked = "\n".join(re.findall(r"^\..*", tree.text(page), re.M)) if tree.has(page) else ""
        words = set(re.findall(r"\w+", marked.replace(r"\fP", " ")))
        for name in tree.files:
            if name.startswith(f"{folder}/") and name.endswith(".c"):
                found += [f"{page}: does not tell of {attribute}, which {name} has" for attribute in
                          re.findall(r"\b(?:DEVICE_ATTR_R[OW]|SYSFS_NUMBER|SYSFS_STAT|STATS_ATTR|HYP_ATTR)\((\w+)[,)]", tree.text(name))
                          if attribute not in words | {"name"}]
    return found


@check("python compiles", {"a.py": "def f(:\n"})
def python_compiles(tree):
    found = []
    for name in tree.scripts(["python3"], (".py",)):
        try:
            compile(tree.text(name), name, "exec")
        except SyntaxError as e:
            found.append(f"{name}:{e.lineno}: {e.msg}")
    return found


@check("executable", {"a": "#!/bin/sh\n"})
def executable(tree):
    """What starts with #! can be run, but for what a packager or another file runs."""
    skip = ("packaging/debian/",)
    return [f"{name}: has #! but is not executable" for name in tree.scripts(["sh", "bash", "python3"])
            if not name.startswith(skip) and not os.access(tree.top / name, os.X_OK)]


def long_files(tree):
    """Not a rule: a second look."""
    return [f"{name}: {len(tree.text(name).splitlines())} lines want a second look"
            for name in tree.files if not name.startswith("LICENSES/")
            and len(tree.text(name).splitlines()) > 700]


def shell(tree):
    return tree.scripts(["sh", "bash", "dash"], (".sh",))


def run(*args, **kw):
    return subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", **kw)

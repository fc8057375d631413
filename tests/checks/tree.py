# SPDX-License-Identifier: GPL-2.0-only
"""The files a check looks at, and the list of checks.

A check is a function of a Tree that returns complaints, one line each. With it
stands a bad sample, {path: text}: the self-test makes a tree of it and demands
a complaint, for a check that cannot fail checks nothing.
"""
import pathlib
import re
import subprocess

CHECKS = []
MODULE_DIRS = ("platform-pci", "xenbus", "netfront", "blkfront")


class Skip(Exception):
    """Why a check cannot run here; counted and shown, never silent."""


def check(name, bad):
    def register(function):
        CHECKS.append((name, function, bad))
        return function
    return register


class Tree:
    def __init__(self, top, files):
        self.top = pathlib.Path(top)
        self.files = sorted(files)
        self._texts = {}

    @classmethod
    def of_checkout(cls, top):
        git = subprocess.run(["git", "-c", f"safe.directory={top}", "-C", str(top), "ls-files", "-co",
                              "--exclude-standard", "-z"], capture_output=True, text=True)
        if git.returncode == 0:
            files = [f for f in git.stdout.split("\0") if f]
        else:
            files = [str(p.relative_to(top)) for p in pathlib.Path(top).rglob("*")
                     if p.is_file() and p.relative_to(top).parts[0] not in ("build", ".git")
                     and "xen-public" not in p.parts and "__pycache__" not in p.parts]
        return cls(top, [f for f in files if (pathlib.Path(top) / f).is_file()])

    def bytes(self, name):
        return (self.top / name).read_bytes()

    def text(self, name):
        if name not in self._texts:
            self._texts[name] = self.bytes(name).decode(errors="replace")
        return self._texts[name]

    def lines(self, name):
        return enumerate(self.text(name).splitlines(), 1)

    def has(self, name):
        return name in self.files

    def code(self, *dirs, suffixes=(".c", ".h")):
        """C files below dirs (all when none is given)."""
        return [f for f in self.files if f.endswith(suffixes)
                and (not dirs or f.split("/")[0] in dirs)]

    def scripts(self, interpreters, suffixes=()):
        """Files whose first line names one of the interpreters."""
        pattern = re.compile(r"^#!.*\b(" + "|".join(interpreters) + r")\b")
        return [f for f in self.files
                if f.endswith(tuple(suffixes)) and suffixes
                or pattern.match(self.bytes(f)[:80].decode(errors="replace"))]


def without_comments(text):
    """C text with comments and strings blanked, line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(\\.|[^\"\\\n])*\"", blank, text, flags=re.S)

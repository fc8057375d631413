# SPDX-License-Identifier: GPL-2.0-only
"""Marks on some of a parameter's values."""
import pytest


def wide(*values):
    """More values of a parameter, for 'make test-wide'."""
    return [pytest.param(*(v if isinstance(v, tuple) else (v,)), marks=pytest.mark.wide) for v in values]

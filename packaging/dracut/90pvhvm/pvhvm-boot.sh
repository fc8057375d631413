#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Sourced before udev starts: the driver of the emulated disks is not loaded.
[ ! -x /usr/lib/pvhvm/boot-disks ] || /usr/lib/pvhvm/boot-disks

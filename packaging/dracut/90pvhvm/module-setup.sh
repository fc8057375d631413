#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dracut: what hands over the root disk, if switch.conf has the line 'root'.

pvhvm_conf=/etc/pvhvm/switch.conf

asked_for()
{
	# shellcheck disable=SC2154 # dracut's
	grep -qs '^[[:space:]]*root[[:space:]]*\(#.*\)\{0,1\}$' \
		"$dracutsysrootdir$pvhvm_conf"
}

# Also when 'root' was just forgotten: an image for the disk in use (hostonly)
# would know the PV one only.
check()
{
	asked_for || [ -d /sys/bus/pvhvm ] || return 255
	return 0
}

depends()
{
	return 0
}

installkernel()
{
	# the emulated way is the way back, or on
	hostonly='' instmods ata_piix ahci sd_mod
	asked_for || return 0
	# shellcheck disable=SC2154 # dracut's
	if modinfo -k "$kernel" pvhvm_blkfront >/dev/null 2>&1; then
		hostonly='' instmods pvhvm_platform pvhvm_xenbus pvhvm_blkfront
	else
		dwarn "pvhvm is not built for $kernel: it will boot from the emulated disk"
	fi
}

install()
{
	asked_for || return 0
	inst_multiple modprobe sleep uname
	inst_simple "$pvhvm_conf"
	inst_script /usr/lib/pvhvm/boot-disks
	inst_rules 70-pvhvm.rules
	# shellcheck disable=SC2154 # dracut's
	inst_hook pre-udev 10 "$moddir/pvhvm-boot.sh"
}

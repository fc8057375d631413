#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dracut: what hands over the root disk, if switch.conf has the line 'root'.

pvhvm_conf=/etc/pvhvm/switch.conf

check()
{
	# shellcheck disable=SC2154 # dracut's
	grep -qs '^[[:space:]]*root[[:space:]]*\(#.*\)\{0,1\}$' \
		"$dracutsysrootdir$pvhvm_conf" || return 255
	return 0
}

depends()
{
	return 0
}

installkernel()
{
	# shellcheck disable=SC2154 # dracut's
	if modinfo -k "$kernel" pvhvm_blkfront >/dev/null 2>&1; then
		hostonly='' instmods pvhvm_platform pvhvm_xenbus pvhvm_blkfront
	else
		dwarn "pvhvm is not built for $kernel: it will boot from the emulated disk"
	fi
	# the emulated way is the way back
	hostonly='' instmods ata_piix ahci sd_mod
}

install()
{
	inst_multiple modprobe sleep uname
	inst_simple "$pvhvm_conf"
	inst_script /usr/lib/pvhvm/boot-disks
	inst_rules 70-pvhvm.rules
	# shellcheck disable=SC2154 # dracut's
	inst_hook pre-udev 10 "$moddir/pvhvm-boot.sh"
}

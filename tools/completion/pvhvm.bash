# SPDX-License-Identifier: GPL-2.0-only
# bash completion for pvhvm(8)

_pvhvm_values()
{
	case $1 in
	--nic)
		(cd /sys/class/net && compgen -W "$(echo *)" -- "$2")
		;;
	--disk)
		(cd /sys/block && compgen -P /dev/ -W "$(echo *)" -- "${2#/dev/}")
		;;
	--only)
		compgen -W "net disk net.tcp_tx net.tcp_rx net.rtt disk.randread_4k_qd1
			disk.randread_4k_qd32 disk.randwrite_4k_qd32 disk.read_1m_qd4
			disk.write_1m_qd4" -- "$2"
		;;
	--label)
		compgen -W "emulated inkernel pvhvm" -- "$2"
		;;
	--dir | --sysroot)
		compgen -d -- "$2"
		;;
	--steps | --html | --output)
		compgen -f -- "$2"
		;;
	--json)
		# An option without value but for bench and report.
		case ${COMP_WORDS[1]} in
		bench | report) compgen -f -- "$2" ;;
		*) return 1 ;;
		esac
		;;
	--peer | --port | --rounds | --seconds | --size | --title | --wait) ;;
	*)
		return 1
		;;
	esac
}

_pvhvm()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words values

	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "status switch bench report metrics --help --version" -- "$cur")
		return
	fi
	if values=$(_pvhvm_values "$prev" "$cur"); then
		mapfile -t COMPREPLY < <(printf '%s' "${values:+$values$'\n'}")
		return
	fi
	case ${COMP_WORDS[1]} in
	status) words="--json --sysroot --help" ;;
	switch) words="--dry-run --nic --all-nics --disk --all-disks --no-persist --root --forget --boot --wait --json --sysroot --help" ;;
	bench) words="--peer --nic --port --dir --disk --overwrite --size --rounds --seconds --only --label --json --clock-check --help" ;;
	metrics) words="--output --sysroot --help" ;;
	report) words="--json --html --steps --title --help" ;;
	*) words="" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	if [ "${COMP_WORDS[1]}" = report ] && [[ $cur != -* ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -o filenames -F _pvhvm pvhvm

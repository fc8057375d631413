/* SPDX-License-Identifier: GPL-2.0-only */
/* bpf_warn_invalid_xdp_action() once took the action alone. */
#ifndef PVHVM_COMPAT_LINUX_FILTER_H
#define PVHVM_COMPAT_LINUX_FILTER_H

#include_next <linux/filter.h>
#include "../config.h"

#ifndef HAVE_BPF_WARN_XDP_DEVICE
#define bpf_warn_invalid_xdp_action(dev, prog, act)	\
	(bpf_warn_invalid_xdp_action)(act)
#endif

#endif

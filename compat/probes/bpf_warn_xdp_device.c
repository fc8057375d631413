// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does bpf_warn_invalid_xdp_action() take device and program? Since
 * c8064e5b4adac ("bpf: Let bpf_warn_invalid_xdp_action() report more info",
 * 5.17).
 */
#include <linux/filter.h>

void pvhvm_probe(struct net_device *dev, struct bpf_prog *prog)
{
	bpf_warn_invalid_xdp_action(dev, prog, 0);
}

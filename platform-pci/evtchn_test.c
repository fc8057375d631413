// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn_test.c: does an event really arrive, on every CPU?
 *
 * One port, its other end in this domain too, rung once for each CPU. A wrong
 * vCPU number or a vector that Xen does not deliver would otherwise show much
 * later, as a disk or a network card that hangs.
 */
#include "platform.h"

#include <linux/completion.h>
#include <linux/cpu.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"

/* Generous: the host may be an emulator. */
#define TEST_TIMEOUT	(5 * HZ)

struct event_test {
	struct completion arrived;
	unsigned int cpu;
};

static irqreturn_t test_handler(int irq, void *data)
{
	struct event_test *test = data;

	test->cpu = smp_processor_id();
	complete(&test->arrived);
	return IRQ_HANDLED;
}

static int test_cpu(struct event_test *test, struct pvhvm_evtchn *ch,
		    struct pvhvm_evtchn *peer, unsigned int cpu)
{
	/* The last CPU may not be out of its handler, and would be asked again. */
	synchronize_irq(ch->irq);
	pvhvm_evtchn_set_cpu(ch, cpu);
	reinit_completion(&test->arrived);
	pvhvm_evtchn_notify(peer);
	if (!wait_for_completion_timeout(&test->arrived, TEST_TIMEOUT)) {
		pr_err("no event reaches CPU %u by %s; try upcall=%s\n", cpu,
		       upcall_by_vector() ? "its upcall vector" : "INTx",
		       upcall_by_vector() ? "intx" : "vector");
		return -EIO;
	}
	if (upcall_by_vector() && test->cpu != cpu) {
		pr_err("an event for CPU %u arrived on CPU %u; try upcall=intx\n",
		       cpu, test->cpu);
		return -EIO;
	}
	return 0;
}

/**
 * evtchn_test() - send an event to each CPU that takes events
 *
 * Context: process; may sleep.
 * Return: 0; -EIO when one is missing, after saying which; or another errno.
 */
int evtchn_test(void)
{
	struct event_test test;
	struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
	struct pvhvm_evtchn ch = { 0 }, peer = { 0 };
	struct evtchn_close close;
	unsigned int cpu;
	int ret;

	init_completion(&test.arrived);
	ret = pvhvm_evtchn_open(&ch, DOMID_SELF, test_handler, "pvhvm-test",
				&test);
	if (ret) {
		pr_err("cannot open an event channel (%d)\n", ret);
		return ret;
	}
	/* The other end stays masked: we only ever send by it. */
	bind.remote_port = ch.port;
	ret = hypercall_evtchn(EVTCHNOP_bind_interdomain, &bind);
	if (ret) {
		pr_err("cannot bind an event channel (%d)\n", ret);
		goto out_close;
	}
	peer.port = bind.local_port;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (upcall_by_vector() && !vcpu_of(cpu)->live)
			continue;
		ret = test_cpu(&test, &ch, &peer, cpu);
		if (ret || !upcall_by_vector())
			break;
	}
	cpus_read_unlock();

	close.port = peer.port;
	hypercall_evtchn(EVTCHNOP_close, &close);
out_close:
	pvhvm_evtchn_close(&ch, &test);
	return ret;
}

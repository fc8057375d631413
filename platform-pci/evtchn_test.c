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
#include <linux/smp.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"

/* Generous: the host may be an emulator. */
#define TEST_TIMEOUT	(5 * HZ)

/**
 * struct event_test - one run of the test
 * @arrived: by the handler
 * @cpu: where it ran
 * @ch: the end that we listen at
 * @peer: the end that we send by
 * @left_over: a vCPU has a vector of its own that it should not have
 */
struct event_test {
	struct completion arrived;
	unsigned int cpu;
	struct pvhvm_evtchn ch;
	struct pvhvm_evtchn peer;
	bool left_over;
};

static irqreturn_t test_handler(int irq, void *data)
{
	struct event_test *test = data;

	/* A threaded handler is where the affinity says, wherever the event came. */
	test->cpu = smp_processor_id();
	complete(&test->arrived);
	return IRQ_HANDLED;
}

/* On the CPU under test with interrupts off: the event is sent, but not yet taken. */
static void send(void *data)
{
	struct event_test *test = data;

	pvhvm_evtchn_notify(&test->peer);
	test->left_over |= upcall_left_over();
}

static int test_cpu(struct event_test *test, unsigned int cpu)
{
	/* The last CPU may not be out of its handler, and would be asked again. */
	synchronize_irq(test->ch.irq);
	pvhvm_evtchn_set_cpu(&test->ch, cpu);
	reinit_completion(&test->arrived);
	if (upcall_by_vector())
		smp_call_function_single(cpu, send, test, 1);
	else
		send(test);
	if (!wait_for_completion_timeout(&test->arrived, TEST_TIMEOUT)) {
		pr_err("no event reaches CPU %u by %s; try upcall=%s\n", cpu,
		       upcall_name(), upcall_other());
		return -EIO;
	}
	pvhvm_evtchn_useful(&test->ch);
	if (upcall_by_vector() && test->cpu != cpu) {
		pr_err("an event for CPU %u arrived on CPU %u; try upcall=intx\n",
		       cpu, test->cpu);
		return -EIO;
	}
	return 0;
}

static int test_cpus(struct event_test *test)
{
	unsigned int cpu;
	int ret = 0;

	for_each_online_cpu(cpu) {
		if (upcall_by_vector() && !vcpu_of(cpu)->live)
			continue;
		ret = test_cpu(test, cpu);
		if (ret || !upcall_by_vector())
			break;
	}
	return ret;
}

/**
 * evtchn_test() - send an event to each CPU that takes events
 *
 * Context: process; may sleep.
 * Return: 0; -EIO when one is missing, after saying which; or another errno.
 */
int evtchn_test(void)
{
	struct event_test test = { .cpu = 0 };
	struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
	struct evtchn_close close;
	int ret;

	init_completion(&test.arrived);
	ret = pvhvm_evtchn_open(&test.ch, DOMID_SELF, test_handler,
				"pvhvm-test", &test);
	if (ret) {
		pr_err("cannot open an event channel (%d)\n", ret);
		return ret;
	}
	/* The other end stays masked: we only ever send by it. */
	bind.remote_port = test.ch.port;
	ret = hypercall_evtchn(EVTCHNOP_bind_interdomain, &bind);
	if (ret) {
		pr_err("cannot bind an event channel (%d)\n", ret);
		goto out_close;
	}
	test.peer.port = bind.local_port;

	cpus_read_lock();
	ret = test_cpus(&test);
	if (test.left_over) {
		pr_info("an earlier driver left its upcall vectors behind\n");
		ret = upcall_fall_back();
		if (ret)
			pr_err("upcall=%s is not possible until reboot; try upcall=%s\n",
			       upcall_name(), upcall_other());
		else
			ret = test_cpus(&test);
	}
	cpus_read_unlock();

	close.port = test.peer.port;
	hypercall_evtchn(EVTCHNOP_close, &close);
out_close:
	pvhvm_evtchn_close(&test.ch, &test);
	return ret;
}

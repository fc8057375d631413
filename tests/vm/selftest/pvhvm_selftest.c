// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvhvm_selftest: uses what pvhvm_platform exports, inside a guest, as hard as
 * it can. Loading it is the test: insmod succeeds if everything passed, and the
 * log has one line for each part.
 *
 *   events  ports whose other end is in this guest too: sent, sent while
 *           disabled, sent while another thread moves and disables them; after
 *           each the handler must have seen the last one
 *   limit   reservations up to the table's limit, and no further
 *   park    a grant that is mapped does not end, is parked, and is reaped
 *   hold    N: goes on sending for N seconds, to unplug CPUs beside it
 *   leave   leaves a mapped grant behind, to unload pvhvm_platform with it
 */
#define pr_fmt(fmt) "pvhvm_selftest: " fmt

#include <asm/alternative.h>
#include <asm/cpufeatures.h>
#include <asm/cpuid/api.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <pvhvm/evtchn.h>
#include <pvhvm/export.h>
#include <pvhvm/grant.h>
#include <pvhvm/hvm.h>

#define ARRIVAL_TIMEOUT	(5 * HZ)

static int ports = 40;
module_param(ports, int, 0);
MODULE_PARM_DESC(ports, "Event channels to open (default 40, 0: no events)");
static int rounds = 2000;
module_param(rounds, int, 0);
MODULE_PARM_DESC(rounds, "Rounds of the stress test (default 2000)");
static int hold;
module_param(hold, int, 0);
MODULE_PARM_DESC(hold, "Seconds to go on sending (default 0)");
static bool leave;
module_param(leave, bool, 0);
MODULE_PARM_DESC(leave, "Leave a mapped grant behind (default N)");

static long call_xen(unsigned long nr, unsigned long cmd, void *arg,
		     unsigned long count)
{
	unsigned long a2 = (unsigned long)arg;
	long ret;

	asm volatile(ALTERNATIVE("vmcall", "vmmcall", X86_FEATURE_VMMCALL)
		     : "=a" (ret), "+D" (cmd), "+S" (a2), "+d" (count)
		     : "0" (nr)
		     : "rcx", "r8", "r10", "r11", "memory", "cc");
	return ret;
}

/**
 * struct loop - a port, and its other end
 * @ch: our end
 * @peer: the other one, by which we send
 * @sent: number of the last event sent
 * @seen: what the handler saw of it
 * @calls: how often the handler ran
 * @name: of the interrupt
 */
struct loop {
	struct pvhvm_evtchn ch, peer;
	unsigned long sent, seen, calls;
	char name[24];
};

static struct loop *loops;

static irqreturn_t handler(int irq, void *data)
{
	struct loop *l = data;

	l->calls++;
	/* What was sent before the event, and not more than is seen. */
	smp_store_release(&l->seen, smp_load_acquire(&l->sent));
	return IRQ_HANDLED;
}

static int open_loop(struct loop *l, int nr)
{
	struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
	int ret;

	snprintf(l->name, sizeof(l->name), "pvhvm-selftest%d", nr);
	ret = pvhvm_evtchn_open(&l->ch, DOMID_SELF, handler, l->name, l);
	if (ret)
		return ret;
	bind.remote_port = l->ch.port;
	ret = call_xen(__HYPERVISOR_event_channel_op,
		       EVTCHNOP_bind_interdomain, &bind, 0);
	l->peer.port = bind.local_port;
	return ret;
}

static void close_loop(struct loop *l)
{
	struct evtchn_close op = { .port = l->peer.port };

	if (l->peer.port)
		call_xen(__HYPERVISOR_event_channel_op, EVTCHNOP_close, &op, 0);
	pvhvm_evtchn_close(&l->ch, l);
}

static void send(struct loop *l)
{
	/* The number first, then the event that tells of it. */
	smp_store_release(&l->sent, l->sent + 1);
	pvhvm_evtchn_notify(&l->peer);
}

static int wait_for(struct loop *l)
{
	unsigned long end = jiffies + ARRIVAL_TIMEOUT;

	/* Pairs with the handler's store. */
	while (smp_load_acquire(&l->seen) != l->sent) {
		if (time_after(jiffies, end)) {
			pr_err("an event on port %u is lost\n", l->ch.port);
			return -EIO;
		}
		cpu_relax();
		cond_resched();
	}
	return 0;
}

static int test_plain(void)
{
	int i, ret = 0;

	for (i = 0; i < ports && !ret; i++) {
		send(&loops[i]);
		ret = wait_for(&loops[i]);
	}
	return ret;
}

static int test_disabled(void)
{
	int i, ret = 0;

	for (i = 0; i < ports && !ret; i++) {
		struct loop *l = &loops[i];
		unsigned long calls;

		disable_irq(l->ch.irq);
		calls = l->calls;
		send(l);
		send(l);
		mdelay(1);
		if (l->calls != calls) {
			pr_err("port %u: handled while disabled\n", l->ch.port);
			ret = -EIO;
		}
		enable_irq(l->ch.irq);
		if (!ret)
			ret = wait_for(l);
	}
	return ret;
}

/* Sends ports around the CPUs and switches them off and on. */
static int mover(void *moves)
{
	unsigned int i = 0, cpu = 0;

	while (!kthread_should_stop()) {
		struct loop *l = &loops[i++ % ports];

		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		pvhvm_evtchn_set_cpu(&l->ch, cpu);
		if (i % 3 == 0) {
			disable_irq(l->ch.irq);
			enable_irq(l->ch.irq);
		}
		++*(unsigned long *)moves;
		cond_resched();
	}
	return 0;
}

static int burst(int first, int count)
{
	int i, ret = 0;

	for (i = 0; i < count; i++)
		send(&loops[(first + i) % ports]);
	for (i = 0; i < count && !ret; i++)
		ret = wait_for(&loops[(first + i) % ports]);
	return ret;
}

static int test_moved(void)
{
	unsigned long moves = 0;
	struct task_struct *task;
	int i, ret = 0;

	task = kthread_run(mover, &moves, "pvhvm-mover");
	if (IS_ERR(task))
		return PTR_ERR(task);
	for (i = 0; i < rounds && !ret; i++)
		ret = burst(i, 1 + i % ports);
	kthread_stop(task);
	pr_info("%d bursts beside %lu moves\n", i, moves);
	return ret;
}

static int test_hold(void)
{
	unsigned long end = jiffies + hold * HZ;
	int i = 0, ret = 0;

	while (!ret && time_before(jiffies, end)) {
		ret = burst(i++, 1);
		if (i % 16 == 0)
			usleep_range(100, 1000);
	}
	return ret;
}

static int test_limit(void)
{
	struct pvhvm_grants g = { 0 };
	unsigned int count = 512;
	int ret;

	do {
		count *= 2;
		ret = pvhvm_grants_reserve(&g, count);
		pvhvm_grants_release(&g);
	} while (!ret);
	if (ret != -ENOSPC)
		return ret;
	/* A refusal must not have taken anything. */
	ret = pvhvm_grants_reserve(&g, count / 2);
	pvhvm_grants_release(&g);
	return ret;
}

static u32 own_domid(void)
{
	u32 base, eax, ebx, ecx, edx;

	for (base = 0x40000000; base < 0x40010000; base += 0x100) {
		cpuid(base, &eax, &ebx, &ecx, &edx);
		if (ebx != 0x566e6558)
			continue;
		cpuid_count(base + 4, 0, &eax, &ebx, &ecx, &edx);
		if (eax & 16)
			return ecx;
	}
	return DOMID_SELF;
}

/*
 * Mapping a page of one's own takes its first mapping away: both pages are
 * holes afterwards, and must not go back to the allocator.
 */
static int test_park(void)
{
	struct gnttab_map_grant_ref map = { .flags = GNTMAP_host_map };
	struct gnttab_unmap_grant_ref unmap = { 0 };
	struct page *page = alloc_page(GFP_KERNEL);
	struct page *at = alloc_page(GFP_KERNEL);
	struct pvhvm_grants g = { 0 };
	int ret;

	if (!page || !at)
		return -ENOMEM;
	ret = pvhvm_grants_reserve(&g, 8);
	if (ret)
		return ret;
	map.ref = pvhvm_grant_take(&g);
	map.dom = own_domid();
	map.host_addr = page_to_phys(at);
	pvhvm_grant_access(map.ref, map.dom, page_to_pfn(page), false);
	ret = call_xen(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref,
		       &map, 1);
	if (ret || map.status) {
		pr_err("the grant cannot be mapped (%d, %d)\n", ret, map.status);
		return -EIO;
	}
	if (pvhvm_grant_end(map.ref)) {
		pr_err("a mapped grant has ended\n");
		ret = -EIO;
	}
	get_page(page);
	pvhvm_grant_park(&g, map.ref, page);
	pvhvm_grants_release(&g);
	if (leave)
		return ret;

	unmap.host_addr = map.host_addr;
	unmap.handle = map.handle;
	call_xen(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref,
		 &unmap, 1);
	/* The reaper comes once a second, and drops the page. */
	msleep(3000);
	if (!ret && page_count(page) != 1) {
		pr_err("a parked page was not dropped\n");
		ret = -EIO;
	}
	return ret;
}

static int result(const char *what, int ret)
{
	if (ret)
		pr_err("%s: failed (%d)\n", what, ret);
	else
		pr_info("%s: passed\n", what);
	return ret;
}

static int test_events(void)
{
	int opened = 0, ret = 0;

	loops = kcalloc(ports, sizeof(*loops), GFP_KERNEL);
	if (!loops)
		return -ENOMEM;
	while (opened < ports && !ret) {
		ret = open_loop(&loops[opened], opened);
		opened++;
	}
	if (!ret)
		ret = result("plain events", test_plain());
	if (!ret)
		ret = result("disabled events", test_disabled());
	if (!ret)
		ret = result("moved events", test_moved());
	if (!ret && hold)
		ret = result("held events", test_hold());
	while (opened)
		close_loop(&loops[--opened]);
	kfree(loops);
	return ret;
}

static int __init selftest_init(void)
{
	int ret = 0;

	if (!pvhvm_platform_ready())
		return -ENODEV;
	if (ports)
		ret = test_events();
	if (!ret)
		ret = result("limit of grants", test_limit());
	if (!ret)
		ret = result("parked grant", test_park());
	return ret;
}

static void __exit selftest_exit(void)
{
}

module_init(selftest_init);
module_exit(selftest_exit);

MODULE_DESCRIPTION("Test of pvhvm_platform from inside");
MODULE_LICENSE("GPL");
PVHVM_IMPORT;

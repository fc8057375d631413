// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn.c: event channels as Linux interrupts.
 *
 * The flow is the kernel's for edges (handle_edge_irq): acknowledge, then run
 * the handler; an event that arrives meanwhile, on this or another CPU, is
 * remembered and makes it run again. Nothing here depends on which ABI is in
 * use.
 *
 * Locks: the books' lock (mutex) protects the list of ports and the opening
 * and closing of them; each port's own lock protects where it is directed and
 * whether it is masked, and nests inside the kernel's lock of the interrupt.
 * Dispatch takes neither: it finds ports in an xarray, under RCU.
 */
#include "platform.h"

#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "evtchn.h"
#include "evtchn_port.h"
#include "hypercall.h"
#include "upcall.h"

static char *evtchn_mode = "auto";
module_param_named(evtchn, evtchn_mode, charp, 0444);
MODULE_PARM_DESC(evtchn,
		 "Event channel ABI: auto (default: FIFO if Xen has it), fifo or 2l");

static struct irq_domain *port_domain;
static struct fwnode_handle *port_fwnode;
static unsigned int nr_ports;
static struct cpumask live_cpus;

struct evtchn_books evtchn_books = {
	.lock = __MUTEX_INITIALIZER(evtchn_books.lock),
	.ports = LIST_HEAD_INIT(evtchn_books.ports),
	.by_number = XARRAY_INIT(evtchn_books.by_number, 0),
};

const char *evtchn_abi(void)
{
	return evtchn_books.ops->name;
}

unsigned int evtchn_max(void)
{
	return evtchn_books.ops->max_ports;
}

unsigned int evtchn_used(void)
{
	return READ_ONCE(nr_ports);
}

/* Have Xen unmask a port and deliver what is pending. Any context. */
void evtchn_xen_unmask(evtchn_port_t port)
{
	struct evtchn_unmask unmask = { .port = port };

	hypercall_evtchn(EVTCHNOP_unmask, &unmask);
}

/*
 * Direct a port elsewhere. Between mask and unmask nothing of it is handled;
 * what was or becomes pending meanwhile is delivered to the new vCPU by the
 * unmask, and an event that the old one is about to look at is not its any
 * more. Hence none is lost and at worst the handler finds nothing to do.
 */
static int direct_locked(struct evtchn_port *p, struct platform_vcpu *to)
{
	struct evtchn_bind_vcpu bind = { .port = p->port, .vcpu = to->id };
	struct platform_vcpu *from = p->target;
	int ret = 0;

	lockdep_assert_held(&p->lock);
	if (from == to)
		return 0;
	evtchn_books.ops->mask(p->port);
	if (!p->fixed)
		ret = hypercall_evtchn(EVTCHNOP_bind_vcpu, &bind);
	if (!ret) {
		evtchn_books.ops->direct(p->port, from, to);
		p->target = to;
		if (from)
			atomic_dec(&from->ports);
		atomic_inc(&to->ports);
	}
	if (!p->masked)
		evtchn_books.ops->unmask(p->port);
	return ret;
}

/* The live vCPU in a set of CPUs with the fewest ports; NULL if there is none */
static struct platform_vcpu *pick(const struct cpumask *set)
{
	struct platform_vcpu *best = NULL;
	unsigned int cpu;

	if (!upcall_by_vector())
		return vcpu_zero();
	for_each_cpu_and(cpu, set, &live_cpus) {
		struct platform_vcpu *v = vcpu_of(cpu);

		if (!best || atomic_read(&v->ports) < atomic_read(&best->ports))
			best = v;
	}
	return best;
}

static void set_effective(struct evtchn_port *p, struct irq_data *d)
{
	unsigned int cpu = p->target->cpu;

	/* With INTx it is wherever the line goes; say so with the first CPU. */
	irq_data_update_effective_affinity(d, cpumask_of(cpu == VCPU_NO_CPU ?
							 0 : cpu));
}

static void port_mask(struct irq_data *d)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	p->masked = true;
	if (!p->dead)
		evtchn_books.ops->mask(p->port);
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

static void port_unmask(struct irq_data *d)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	p->masked = false;
	if (!p->dead)
		evtchn_books.ops->unmask(p->port);
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

static void port_ack(struct irq_data *d)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);

	if (!p->dead)
		evtchn_books.ops->ack(p->port);
}

static int port_retrigger(struct irq_data *d)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	if (!p->dead) {
		evtchn_books.ops->raise(p->port);
		if (!p->masked)
			evtchn_xen_unmask(p->port);
	}
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return 1;
}

static int port_set_affinity(struct irq_data *d, const struct cpumask *mask,
			     bool force)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);
	struct platform_vcpu *to;
	unsigned long flags;
	int ret = -EINVAL;

	raw_spin_lock_irqsave(&p->lock, flags);
	if (p->dead) {
		ret = 0;
		goto out_unlock;
	}
	if (p->fixed)
		goto out_unlock;
	/* Stay if we may: every move costs a cold cache. */
	to = p->target;
	if (upcall_by_vector() &&
	    (!to->live || !cpumask_test_cpu(to->cpu, mask)))
		to = pick(mask);
	if (to)
		ret = direct_locked(p, to);
	if (!ret) {
		p->home = VCPU_NO_CPU;
		set_effective(p, d);
	}
out_unlock:
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return ret;
}

static struct irq_chip port_chip = {
	.name = "pvhvm-event",
	.irq_mask = port_mask,
	.irq_unmask = port_unmask,
	.irq_ack = port_ack,
	.irq_retrigger = port_retrigger,
	.irq_set_affinity = port_set_affinity,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static irq_hw_number_t port_hwirq(evtchn_port_t port)
{
	return (irq_hw_number_t)evtchn_books.epoch * EVTCHN_FIFO_NR_CHANNELS + port;
}

static int port_map(struct irq_domain *domain, unsigned int irq,
		    irq_hw_number_t hwirq)
{
	struct evtchn_port *p = xa_load(&evtchn_books.by_number,
					hwirq % EVTCHN_FIFO_NR_CHANNELS);

	irq_set_chip_and_handler_name(irq, &port_chip, handle_edge_irq, "event");
	irq_set_chip_data(irq, p);
	/* Moving takes one hypercall, it need not wait for the next event. */
	irq_set_status_flags(irq, IRQ_MOVE_PCNTXT | IRQ_NOPROBE);
	irqd_set_single_target(irq_get_irq_data(irq));
	return 0;
}

static const struct irq_domain_ops port_domain_ops = {
	.map = port_map,
};

/**
 * evtchn_handle_port() - run the handler of a pending port
 * @port: the port; one that nobody has open is masked and forgotten
 *
 * Context: hard interrupt, interrupts off.
 */
void evtchn_handle_port(evtchn_port_t port)
{
	struct evtchn_port *p = xa_load(&evtchn_books.by_number, port);

	if (likely(p && p->irq)) {
		generic_handle_irq(p->irq);
		return;
	}
	evtchn_books.ops->mask(port);
	evtchn_books.ops->ack(port);
}

/**
 * evtchn_upcall() - Xen says that a vCPU has events
 * @v: the vCPU
 *
 * One pass: whatever becomes pending from now on sets the flag again and
 * brings another interrupt, before which softirqs get their turn.
 * Context: hard interrupt, interrupts off.
 */
void evtchn_upcall(struct platform_vcpu *v)
{
	WRITE_ONCE(v->info->evtchn_upcall_pending, 0);
	/* The other way round than Xen: it sets the event's bit, then this. */
	smp_mb();
	evtchn_books.ops->dispatch(v);
}

int evtchn_vcpu_prepare(struct platform_vcpu *v)
{
	return evtchn_books.ops->vcpu_prepare(v);
}

/* Of both ABIs: after a resume it may be another one than before. */
void evtchn_vcpu_release(struct platform_vcpu *v)
{
	evtchn_fifo_ops.vcpu_release(v);
	evtchn_2l_ops.vcpu_release(v);
}

static bool bring_home(struct evtchn_port *p, struct platform_vcpu *v)
{
	unsigned long flags;
	bool hint = false;

	raw_spin_lock_irqsave(&p->lock, flags);
	if (p->home == v->cpu) {
		hint = p->hint;
		if (!hint && !direct_locked(p, v))
			set_effective(p, irq_get_irq_data(p->irq));
		p->home = VCPU_NO_CPU;
		p->hint = false;
	}
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return hint;
}

/**
 * evtchn_vcpu_up() - a vCPU may take events from now on
 * @v: with its upcall ready
 *
 * Ports that had to leave it when it went offline come back.
 * Context: CPU hotplug callback or init; may sleep.
 */
void evtchn_vcpu_up(struct platform_vcpu *v)
{
	struct evtchn_port *p;

	v->live = true;
	if (v->cpu == VCPU_NO_CPU)
		return;
	cpumask_set_cpu(v->cpu, &live_cpus);
	mutex_lock(&evtchn_books.lock);
	list_for_each_entry(p, &evtchn_books.ports, list)
		if (bring_home(p, v))
			irq_set_affinity_and_hint(p->irq, cpumask_of(v->cpu));
	mutex_unlock(&evtchn_books.lock);
}

/**
 * evtchn_vcpu_down() - a vCPU is about to go: send its ports elsewhere
 * @v: the running CPU's, still with its upcall
 *
 * The interrupts' affinity as the user set it stays as it is; the kernel sees
 * that they are gone and leaves them alone.
 * Context: CPU hotplug callback; may sleep.
 */
void evtchn_vcpu_down(struct platform_vcpu *v)
{
	struct evtchn_port *p;
	unsigned long flags;

	cpumask_clear_cpu(v->cpu, &live_cpus);
	v->live = false;
	mutex_lock(&evtchn_books.lock);
	list_for_each_entry(p, &evtchn_books.ports, list) {
		struct irq_data *d = irq_get_irq_data(p->irq);
		struct platform_vcpu *to;

		raw_spin_lock_irqsave(&p->lock, flags);
		if (p->target == v) {
			to = pick(irq_data_get_affinity_mask(d));
			if (!to)
				to = pick(&live_cpus);
			if (to && !direct_locked(p, to)) {
				p->home = v->cpu;
				set_effective(p, d);
			}
		}
		raw_spin_unlock_irqrestore(&p->lock, flags);
	}
	mutex_unlock(&evtchn_books.lock);
	evtchn_vcpu_drain(v);
}

/**
 * evtchn_vcpu_drain() - handle what is still queued for a vCPU
 * @v: a vCPU that takes no events any more: this one, or a dead one
 *
 * Events that Xen had queued before their port was directed elsewhere.
 */
void evtchn_vcpu_drain(struct platform_vcpu *v)
{
	unsigned long flags;

	local_irq_save(flags);
	evtchn_upcall(v);
	local_irq_restore(flags);
}

static int close_port(evtchn_port_t port)
{
	struct evtchn_close op = { .port = port };

	return hypercall_evtchn(EVTCHNOP_close, &op);
}

/*
 * A port in our books: masked, directed at a live vCPU, with an interrupt.
 * @fixed: the vCPU that Xen has bound it to for good, or NULL
 */
static struct evtchn_port *port_create(evtchn_port_t port,
				       struct platform_vcpu *fixed)
{
	struct evtchn_port *p = kzalloc(sizeof(*p), GFP_KERNEL);
	struct platform_vcpu *to;
	unsigned long flags;
	int ret;

	lockdep_assert_held(&evtchn_books.lock);
	if (!p)
		return ERR_PTR(-ENOMEM);
	p->port = port;
	p->masked = true;
	p->home = VCPU_NO_CPU;
	p->fixed = fixed;
	raw_spin_lock_init(&p->lock);

	ret = evtchn_books.ops->port_prepare(port);
	if (ret)
		goto err_free;
	evtchn_books.ops->mask(port);
	ret = xa_insert(&evtchn_books.by_number, port, p, GFP_KERNEL);
	if (ret)
		goto err_free;
	raw_spin_lock_irqsave(&p->lock, flags);
	to = fixed ? fixed : pick(cpu_online_mask);
	ret = to ? direct_locked(p, to) : -EIO;
	raw_spin_unlock_irqrestore(&p->lock, flags);
	if (ret)
		goto err_erase;
	p->irq = irq_create_mapping(port_domain, port_hwirq(port));
	if (!p->irq) {
		ret = -ENOSPC;
		goto err_undirect;
	}
	list_add(&p->list, &evtchn_books.ports);
	nr_ports++;
	return p;

err_undirect:
	evtchn_books.ops->direct(port, p->target, NULL);
	atomic_dec(&p->target->ports);
err_erase:
	xa_erase(&evtchn_books.by_number, port);
	synchronize_rcu_expedited();
err_free:
	kfree(p);
	return ERR_PTR(ret);
}

/*
 * The interrupt has no handler any more, so the port is masked. All in one
 * go under the lock, which a suspend takes: no number is used after it means
 * another port, and Xen gives no number out again before we have forgotten it.
 */
static void port_destroy(struct evtchn_port *p, bool keep)
{
	mutex_lock(&evtchn_books.lock);
	list_del(&p->list);
	nr_ports--;
	if (!p->dead)
		xa_erase(&evtchn_books.by_number, p->port);
	/*
	 * A dispatch that found the port just before it was masked may still
	 * be on its way to the interrupt's number.
	 */
	synchronize_rcu_expedited();
	irq_dispose_mapping(p->irq);
	if (!p->dead) {
		evtchn_books.ops->direct(p->port, p->target, NULL);
		atomic_dec(&p->target->ports);
		if (!keep && close_port(p->port))
			pr_warn("Xen does not close port %u\n", p->port);
	}
	mutex_unlock(&evtchn_books.lock);
	kfree(p);
}

/* The port is in our books; on failure it is closed, unless it is to be kept. */
static int port_request(struct pvhvm_evtchn *ch, struct evtchn_port *p,
			bool keep, irq_handler_t handler, const char *name,
			void *data)
{
	unsigned long flags = IRQF_NO_THREAD;
	int ret;

	/* The handler may run and use the channel before request returns. */
	ch->port = p->port;
	ch->irq = p->irq;
	ch->keep = keep;
	if (p->fixed)
		flags |= IRQF_PERCPU | IRQF_NOBALANCING | IRQF_TIMER;
	ret = request_irq(p->irq, handler, flags, name, data);
	if (ret) {
		memset(ch, 0, sizeof(*ch));
		port_destroy(p, keep);
	}
	return ret;
}

/* What Xen said when asked for a port of ours, and the port: into the books. */
static struct evtchn_port *port_adopt(int said, evtchn_port_t port,
				      struct platform_vcpu *fixed)
{
	struct evtchn_port *p;

	if (said)
		return ERR_PTR(said);
	p = port_create(port, fixed);
	if (IS_ERR(p))
		close_port(port);
	return p;
}

int pvhvm_evtchn_open(struct pvhvm_evtchn *ch, domid_t remote,
		      irq_handler_t handler, const char *name, void *data)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = remote,
	};
	struct evtchn_port *p;
	int ret;

	mutex_lock(&evtchn_books.lock);
	ret = hypercall_evtchn(EVTCHNOP_alloc_unbound, &alloc);
	p = port_adopt(ret, alloc.port, NULL);
	mutex_unlock(&evtchn_books.lock);
	return IS_ERR(p) ? PTR_ERR(p) :
		port_request(ch, p, false, handler, name, data);
}
PVHVM_EXPORT(pvhvm_evtchn_open);

/**
 * evtchn_bind_virq() - handle a virtual interrupt of one vCPU
 * @ch: a closed channel; filled on success, untouched on failure
 * @virq: VIRQ_TIMER or another that each vCPU has of its own (xen/xen.h)
 * @v: a live vCPU; the channel must be closed before it goes down
 * @handler: as for pvhvm_evtchn_open(); on that CPU only
 * @name: as for pvhvm_evtchn_open()
 * @data: as for pvhvm_evtchn_open()
 *
 * Context: process; may sleep. Return: 0 or negative errno (-EEXIST: bound).
 */
int evtchn_bind_virq(struct pvhvm_evtchn *ch, u32 virq,
		     struct platform_vcpu *v, irq_handler_t handler,
		     const char *name, void *data)
{
	struct evtchn_bind_virq bind = { .virq = virq, .vcpu = v->id };
	struct evtchn_port *p;
	int ret;

	mutex_lock(&evtchn_books.lock);
	ret = hypercall_evtchn(EVTCHNOP_bind_virq, &bind);
	p = port_adopt(ret, bind.port, v);
	mutex_unlock(&evtchn_books.lock);
	return IS_ERR(p) ? PTR_ERR(p) :
		port_request(ch, p, false, handler, name, data);
}

int pvhvm_evtchn_attach(struct pvhvm_evtchn *ch, evtchn_port_t port,
			irq_handler_t handler, const char *name, void *data)
{
	struct evtchn_port *p;
	int ret;

	if (!port || port >= evtchn_books.ops->max_ports)
		return -EINVAL;
	mutex_lock(&evtchn_books.lock);
	p = port_create(port, NULL);
	mutex_unlock(&evtchn_books.lock);
	if (IS_ERR(p))
		return PTR_ERR(p);
	ret = port_request(ch, p, true, handler, name, data);
	/* The peer may have sent before anybody listened: look once. */
	if (!ret)
		port_retrigger(irq_get_irq_data(p->irq));
	return ret;
}
PVHVM_EXPORT(pvhvm_evtchn_attach);

void pvhvm_evtchn_close(struct pvhvm_evtchn *ch, void *data)
{
	struct evtchn_port *p;

	if (!ch->irq)
		return;
	p = irq_get_chip_data(ch->irq);
	irq_update_affinity_hint(ch->irq, NULL);
	free_irq(ch->irq, data);
	port_destroy(p, ch->keep);
	memset(ch, 0, sizeof(*ch));
}
PVHVM_EXPORT(pvhvm_evtchn_close);

void pvhvm_evtchn_notify(const struct pvhvm_evtchn *ch)
{
	struct evtchn_send send = { .port = ch->port };

	hypercall_evtchn(EVTCHNOP_send, &send);
}
PVHVM_EXPORT(pvhvm_evtchn_notify);

void pvhvm_evtchn_set_cpu(struct pvhvm_evtchn *ch, unsigned int cpu)
{
	struct evtchn_port *p;
	unsigned long flags;

	if (!ch->irq || cpu >= nr_cpu_ids || !upcall_by_vector())
		return;
	p = irq_get_chip_data(ch->irq);
	if (cpumask_test_cpu(cpu, &live_cpus)) {
		irq_set_affinity_and_hint(ch->irq, cpumask_of(cpu));
		return;
	}
	raw_spin_lock_irqsave(&p->lock, flags);
	p->home = cpu;
	p->hint = true;
	raw_spin_unlock_irqrestore(&p->lock, flags);
}
PVHVM_EXPORT(pvhvm_evtchn_set_cpu);

static int choose_abi(void)
{
	int ret;

	if (strcmp(evtchn_mode, "auto") && strcmp(evtchn_mode, "fifo") &&
	    strcmp(evtchn_mode, "2l")) {
		pr_err("evtchn=%s is neither auto, fifo nor 2l\n", evtchn_mode);
		return -EINVAL;
	}
	if (evtchn_fifo_left_over()) {
		pr_info("an earlier kernel left FIFO event channels behind, resetting\n");
		ret = evtchn_reset_all();
		if (ret)
			return ret;
	}
	if (strcmp(evtchn_mode, "2l")) {
		evtchn_books.ops = &evtchn_fifo_ops;
		ret = evtchn_books.ops->init();
		if (!ret)
			return 0;
		if (ret != -EOPNOTSUPP || !strcmp(evtchn_mode, "fifo")) {
			pr_err("no FIFO event channels (%d)\n", ret);
			return ret;
		}
	}
	evtchn_books.ops = &evtchn_2l_ops;
	return evtchn_books.ops->init();
}

/**
 * evtchn_init() - choose the ABI, get ready to open ports
 *
 * Context: process; may sleep. Return: 0 or negative errno; all undone.
 */
int evtchn_init(void)
{
	int ret;

	port_fwnode = irq_domain_alloc_named_fwnode("pvhvm-event");
	if (!port_fwnode)
		return -ENOMEM;
	port_domain = irq_domain_create_tree(port_fwnode, &port_domain_ops,
					     NULL);
	if (!port_domain) {
		ret = -ENOMEM;
		goto err_free_fwnode;
	}
	ret = choose_abi();
	if (ret)
		goto err_remove_domain;
	return 0;

err_remove_domain:
	irq_domain_remove(port_domain);
	port_domain = NULL;
err_free_fwnode:
	irq_domain_free_fwnode(port_fwnode);
	port_fwnode = NULL;
	return ret;
}

/**
 * evtchn_abandon() - have Xen close all ports and let go of our pages
 *
 * For a kernel that is about to be replaced; no event arrives any more.
 * Context: process; may sleep.
 */
void evtchn_abandon(void)
{
	if (evtchn_reset_all())
		pr_warn("the next kernel will find event channels open\n");
}

void evtchn_exit(void)
{
	if (!port_domain)
		return;
	if (nr_ports)
		pr_err("%u event channels are still open\n", nr_ports);
	evtchn_books.ops->exit();
	/* What a host without FIFO has left us with; else there is nothing. */
	evtchn_fifo_ops.exit();
	irq_domain_remove(port_domain);
	irq_domain_free_fwnode(port_fwnode);
	port_domain = NULL;
	port_fwnode = NULL;
	cpumask_clear(&live_cpus);
}

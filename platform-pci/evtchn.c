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
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "evtchn.h"
#include "evtchn_port.h"
#include "hypercall.h"

static char *evtchn_mode = "auto";
module_param_named(evtchn, evtchn_mode, charp, 0444);
MODULE_PARM_DESC(evtchn,
		 "Event channel ABI: auto (default: FIFO if Xen has it), fifo or 2l");

static unsigned int nr_ports;

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

/**
 * evtchn_handle_port() - run the handler of a pending port
 * @port: the port; one that nobody has open is masked and forgotten
 *
 * Context: hard interrupt, interrupts off.
 */
void evtchn_handle_port(evtchn_port_t port)
{
	struct evtchn_port *p = xa_load(&evtchn_books.by_number, port);

	if (likely(p && p->irq && !p->dead)) {
		generic_handle_irq(p->irq);
		evtchn_storm_event(p);
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

/**
 * evtchn_vcpu_drain() - handle what is still queued for a vCPU
 * @v: a vCPU that takes no events any more: this one, or a dead one
 *
 * Events that Xen had queued before their port was directed elsewhere.
 * Context: process, interrupts on.
 */
void evtchn_vcpu_drain(struct platform_vcpu *v)
{
	/* What they raise runs on the way out, as it would after an interrupt. */
	local_bh_disable();
	local_irq_disable();
	evtchn_upcall(v);
	local_irq_enable();
	local_bh_enable();
}

static int close_port(evtchn_port_t port)
{
	struct evtchn_close op = { .port = port };

	return hypercall_evtchn(EVTCHNOP_close, &op);
}

/* In the place of one that died in a suspend, if need be. */
static int note_number(struct evtchn_port *p)
{
	struct evtchn_port *old = xa_load(&evtchn_books.by_number, p->port);

	if (old && !old->dead)
		return -EBUSY;
	return xa_err(xa_store(&evtchn_books.by_number, p->port, p, GFP_KERNEL));
}

/*
 * A port in our books: masked, directed at a live vCPU, with an interrupt.
 * @fixed: the vCPU that Xen has bound it to for good, or NULL
 */
static struct evtchn_port *port_create(evtchn_port_t port,
				       struct platform_vcpu *fixed)
{
	struct evtchn_port *p = kzalloc(sizeof(*p), GFP_KERNEL);
	int ret;

	lockdep_assert_held(&evtchn_books.lock);
	if (!p)
		return ERR_PTR(-ENOMEM);
	p->port = port;
	p->masked = true;
	p->home = VCPU_NO_CPU;
	p->fixed = fixed;
	raw_spin_lock_init(&p->lock);
	evtchn_storm_init(p);

	ret = evtchn_books.ops->port_prepare(port);
	if (ret)
		goto err_free;
	evtchn_books.ops->mask(port);
	ret = note_number(p);
	if (ret)
		goto err_free;
	ret = evtchn_irq_create(p, fixed);
	if (ret)
		goto err_erase;
	list_add(&p->list, &evtchn_books.ports);
	nr_ports++;
	return p;

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
	/* A dead one's number may be another's by now. */
	if (xa_load(&evtchn_books.by_number, p->port) == p)
		xa_erase(&evtchn_books.by_number, p->port);
	/*
	 * A dispatch that found the port just before it was masked may still
	 * be on its way to the interrupt's number.
	 */
	synchronize_rcu_expedited();
	evtchn_storm_end(p);
	evtchn_irq_destroy(p);
	if (!p->dead && !keep && close_port(p->port))
		pr_warn("Xen does not close port %u\n", p->port);
	mutex_unlock(&evtchn_books.lock);
	kfree(p);
}

/* The port is in our books; on failure it is closed, unless it is to be kept. */
static int port_request(struct pvhvm_evtchn *ch, struct evtchn_port *p,
			bool keep, irq_handler_t handler, irq_handler_t thread,
			const char *name, void *data)
{
	unsigned long flags = 0;
	int ret;

	/* The handler may run and use the channel before request returns. */
	ch->port = p->port;
	ch->irq = p->irq;
	ch->keep = keep;
	if (p->fixed)
		flags |= IRQF_PERCPU | IRQF_NOBALANCING | IRQF_TIMER;
	else
		evtchn_storm_watch(p, ch);
	ret = request_threaded_irq(p->irq, handler, thread, flags, name, data);
	if (ret) {
		port_destroy(p, keep);
		memset(ch, 0, sizeof(*ch));
	}
	return ret;
}

/* Asks Xen for a port by @op, whose @arg has it in *@port then. */
static int port_open(struct pvhvm_evtchn *ch, int op, void *arg,
		     const evtchn_port_t *port, struct platform_vcpu *fixed,
		     irq_handler_t handler, irq_handler_t thread,
		     const char *name, void *data)
{
	struct evtchn_port *p;
	int ret;

	mutex_lock(&evtchn_books.lock);
	ret = hypercall_evtchn(op, arg);
	p = ret ? ERR_PTR(ret) : port_create(*port, fixed);
	if (!ret && IS_ERR(p))
		close_port(*port);
	mutex_unlock(&evtchn_books.lock);
	return IS_ERR(p) ? PTR_ERR(p) :
		port_request(ch, p, false, handler, thread, name, data);
}

int pvhvm_evtchn_open_threaded(struct pvhvm_evtchn *ch, domid_t remote,
			       irq_handler_t handler, irq_handler_t thread,
			       const char *name, void *data)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = remote,
	};

	return port_open(ch, EVTCHNOP_alloc_unbound, &alloc, &alloc.port, NULL,
			 handler, thread, name, data);
}
PVHVM_EXPORT(pvhvm_evtchn_open_threaded);

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

	return port_open(ch, EVTCHNOP_bind_virq, &bind, &bind.port, v, handler,
			 NULL, name, data);
}

/**
 * evtchn_bind_ipi() - handle what pvhvm_evtchn_notify() sends to the same channel
 * @ch: as for evtchn_bind_virq()
 * @v: as for evtchn_bind_virq()
 * @handler: as for evtchn_bind_virq()
 * @name: as for evtchn_bind_virq()
 * @data: as for evtchn_bind_virq()
 *
 * Context: process; may sleep. Return: 0 or negative errno.
 */
int evtchn_bind_ipi(struct pvhvm_evtchn *ch, struct platform_vcpu *v,
		    irq_handler_t handler, const char *name, void *data)
{
	struct evtchn_bind_ipi bind = { .vcpu = v->id };

	return port_open(ch, EVTCHNOP_bind_ipi, &bind, &bind.port, v, handler,
			 NULL, name, data);
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
	ret = port_request(ch, p, true, handler, NULL, name, data);
	/* The peer may have sent before anybody listened: look once. */
	if (!ret)
		evtchn_irq_retrigger(p);
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
			return ret < 0 ? ret : -EIO;
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
	int ret = evtchn_irq_init();

	if (ret)
		return ret;
	ret = choose_abi();
	if (ret)
		evtchn_irq_exit();
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
	if (evtchn_reset_all() < 0)
		pr_warn("the next kernel will find event channels open\n");
}

void evtchn_exit(void)
{
	if (nr_ports)
		pr_err("%u event channels are still open\n", nr_ports);
	evtchn_books.ops->exit();
	/* What a host without FIFO has left us with; else there is nothing. */
	evtchn_fifo_ops.exit();
	evtchn_irq_exit();
}

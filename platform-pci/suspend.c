// SPDX-License-Identifier: GPL-2.0-only
/*
 * suspend.c: who wants to know of suspend and resume.
 *
 * The place where suspending plugs in. What it will have to do, in order:
 * call the chain with PREPARE (highest priority first); stop all CPUs but one;
 * SCHEDOP_shutdown with SHUTDOWN_suspend (xen/sched.h); if that says
 * cancelled, start the CPUs and call the chain with CANCELLED. Else the domain
 * is a new one: map shared info, redo FIFO pages or masks, upcall vectors,
 * HVM_PARAM_CALLBACK_IRQ, grant frames and the unplug, start the CPUs, and call
 * the chain with RESUMED. Today nothing calls the chain.
 */
#include "platform.h"

#include <linux/notifier.h>

static BLOCKING_NOTIFIER_HEAD(suspend_chain);

/**
 * pvhvm_suspend_register() - be told of suspend and resume
 * @nb: called with enum pvhvm_suspend_event, process context, may sleep
 *
 * Context: process; may sleep. Return: 0.
 */
int pvhvm_suspend_register(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&suspend_chain, nb);
}
PVHVM_EXPORT(pvhvm_suspend_register);

/**
 * pvhvm_suspend_unregister() - the opposite; on return @nb is not being called
 * @nb: as registered
 */
void pvhvm_suspend_unregister(struct notifier_block *nb)
{
	blocking_notifier_chain_unregister(&suspend_chain, nb);
}
PVHVM_EXPORT(pvhvm_suspend_unregister);

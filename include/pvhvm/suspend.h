/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * suspend.h: how a layer above learns of suspend and resume.
 * Offered by pvhvm_platform; arrows point down only, so the upper registers.
 */
#ifndef PVHVM_SUSPEND_H
#define PVHVM_SUSPEND_H

#include <linux/notifier.h>

/**
 * enum pvhvm_suspend_event - what the notifier is called with
 * @PVHVM_SUSPEND_PREPARE: about to suspend: stop using rings, keep everything
 * @PVHVM_SUSPEND_CANCELLED: it did not happen: go on as before
 * @PVHVM_SUSPEND_RESUMED: another host, or the same: ports and grants of old
 *	are gone and platform-pci has rebuilt its own; connect anew
 *
 * Called in process context, may sleep; highest priority first on PREPARE.
 */
enum pvhvm_suspend_event {
	PVHVM_SUSPEND_PREPARE = 1,
	PVHVM_SUSPEND_CANCELLED,
	PVHVM_SUSPEND_RESUMED,
};

/**
 * pvhvm_suspend_request() - suspend the guest, soon
 *
 * The toolstack has asked for it. Says no more about it than the log does:
 * who wants to know registers. Asked twice before it begins is once.
 * Context: any.
 */
void pvhvm_suspend_request(void);

/**
 * pvhvm_suspend_register() - be told of suspend and resume
 * @nb: called with enum pvhvm_suspend_event, process context, may sleep
 *
 * Context: process; sleeps as long as a suspend lasts. Return: 0.
 */
int pvhvm_suspend_register(struct notifier_block *nb);

/**
 * pvhvm_suspend_unregister() - the opposite; on return @nb is not being called
 * @nb: as registered
 *
 * A request that has not begun is forgotten: without those above, which do the
 * preparing, there is no suspend.
 * Context: process; sleeps as long as a suspend lasts; not from the chain.
 */
void pvhvm_suspend_unregister(struct notifier_block *nb);

#endif /* PVHVM_SUSPEND_H */

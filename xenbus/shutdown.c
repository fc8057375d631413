// SPDX-License-Identifier: GPL-2.0-only
/*
 * shutdown.c: what the toolstack asks for below "control".
 *
 * It writes a word into control/shutdown and takes the node's becoming empty
 * for "understood". control/sysrq gets one character. What we understand is
 * advertised in control/feature-*, which xapi reads before it offers a clean
 * shutdown. Xen docs/misc/xenstore-paths.pandoc.
 */
#include "xenbus.h"

#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/sysrq.h>

#include <pvhvm/suspend.h>

static void shutdown_poweroff(void)
{
	/* forced if there is no userspace command to do it in order */
	orderly_poweroff(true);
}

static void shutdown_reboot(void)
{
	orderly_reboot();
}

/* A halted guest is of no use to a host, so "halt" is a power-off. */
static const struct {
	const char *word;
	void (*act)(void);
} shutdown_words[] = {
	{ "poweroff", shutdown_poweroff },
	{ "halt", shutdown_poweroff },
	{ "reboot", shutdown_reboot },
	{ "suspend", pvhvm_suspend_request },
};

/* Return: what to do for a word, or NULL. */
static void (*shutdown_act(const char *word))(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shutdown_words); i++)
		if (!strcmp(word, shutdown_words[i].word))
			return shutdown_words[i].act;
	return NULL;
}

/* ---- requests ---- */

struct shutdown_request {
	const char *node;
	bool words;
	char *value;
	size_t len;
};

/*
 * Take the request and, in one step, empty the node. What we do not understand
 * stays: the toolstack shall see that nothing comes of it.
 */
static int shutdown_take(struct pvhvm_xs_txn *txn, void *arg)
{
	struct shutdown_request *r = arg;

	kfree(r->value);
	r->value = pvhvm_xs_read(txn, "control", r->node, &r->len);
	if (IS_ERR(r->value)) {
		int err = PTR_ERR(r->value);

		r->value = NULL;
		return err;
	}
	if (!r->len || !*r->value || (r->words && !shutdown_act(r->value)))
		return 0;
	return pvhvm_xs_write(txn, "control", r->node, "");
}

/* Return: the request, to be freed, or NULL if there is none. */
static char *shutdown_fetch(const char *node, bool words)
{
	struct shutdown_request r = { .node = node, .words = words };
	int err = pvhvm_xs_transaction(shutdown_take, &r);

	if (err && err != -ENOENT)
		pr_warn("cannot read control/%s (%d)\n", node, err);
	if (err || !r.len || !*r.value) {
		kfree(r.value);
		return NULL;
	}
	return r.value;
}

static void shutdown_asked(struct pvhvm_xs_watch *watch, const char *path)
{
	char *word = shutdown_fetch("shutdown", true);
	void (*act)(void);

	if (!word)
		return;
	act = shutdown_act(word);
	if (act) {
		pr_info("the toolstack asks for %s\n", word);
		act();
	} else {
		pr_warn("the toolstack asks for \"%.32s\" in control/shutdown, which is not offered\n",
			word);
	}
	kfree(word);
}

static void shutdown_sysrq(struct pvhvm_xs_watch *watch, const char *path)
{
	char *key = shutdown_fetch("sysrq", false);

	if (!key)
		return;
	pr_info("the toolstack sends sysrq %c\n", key[0]);
	handle_sysrq(key[0]);
	kfree(key);
}

static struct pvhvm_xs_watch shutdown_watch[] = {
	{ .path = "control/shutdown", .fn = shutdown_asked },
	{ .path = "control/sysrq", .fn = shutdown_sysrq },
};

/* ---- features ---- */

/*
 * The toolstack may have made the node, empty, for us to write; it may have
 * forbidden to make one. @before is put back when we go.
 */
static struct shutdown_feature {
	const char *node;
	char *before;
	bool set;
} shutdown_features[] = {
	{ .node = "feature-poweroff" },
	{ .node = "feature-reboot" },
	{ .node = "feature-halt" },
	{ .node = "feature-sysrq" },
	{ .node = "feature-suspend" },
};

static void shutdown_advertise(struct shutdown_feature *f)
{
	int err;

	kfree(f->before);
	f->before = pvhvm_xs_read(PVHVM_XS_NONE, "control", f->node, NULL);
	if (IS_ERR(f->before))
		f->before = NULL;
	err = pvhvm_xs_write(PVHVM_XS_NONE, "control", f->node, "1");
	f->set = !err;
	if (err)
		pr_debug("control/%s cannot be set (%d)\n", f->node, err);
}

static void shutdown_withdraw(struct shutdown_feature *f)
{
	if (f->set && f->before)
		pvhvm_xs_write(PVHVM_XS_NONE, "control", f->node, f->before);
	else if (f->set)
		pvhvm_xs_rm(PVHVM_XS_NONE, "control", f->node);
	kfree(f->before);
	f->before = NULL;
	f->set = false;
}

/* A resume may come while the module goes; held for both. */
static DEFINE_MUTEX(shutdown_offer_lock);
static bool shutdown_offered;

static void shutdown_offer_locked(void)
{
	unsigned int i;

	lockdep_assert_held(&shutdown_offer_lock);
	for (i = 0; i < ARRAY_SIZE(shutdown_features); i++)
		shutdown_advertise(&shutdown_features[i]);
}

void shutdown_resume(void)
{
	mutex_lock(&shutdown_offer_lock);
	if (shutdown_offered)
		shutdown_offer_locked();
	mutex_unlock(&shutdown_offer_lock);
}

/* ---- coming and going ---- */

int shutdown_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(shutdown_watch); i++) {
		err = pvhvm_xs_watch(&shutdown_watch[i]);
		if (err) {
			pr_err("cannot watch %s (%d)\n", shutdown_watch[i].path,
			       err);
			goto err_unwatch;
		}
	}
	mutex_lock(&shutdown_offer_lock);
	shutdown_offer_locked();
	shutdown_offered = true;
	mutex_unlock(&shutdown_offer_lock);
	return 0;

err_unwatch:
	shutdown_exit();
	return err;
}

void shutdown_exit(void)
{
	unsigned int i;

	mutex_lock(&shutdown_offer_lock);
	shutdown_offered = false;
	for (i = 0; i < ARRAY_SIZE(shutdown_features); i++)
		shutdown_withdraw(&shutdown_features[i]);
	mutex_unlock(&shutdown_offer_lock);
	for (i = 0; i < ARRAY_SIZE(shutdown_watch); i++)
		pvhvm_xs_unwatch(&shutdown_watch[i]);
}

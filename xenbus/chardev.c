// SPDX-License-Identifier: GPL-2.0-only
/*
 * chardev.c: /dev/xen/xenbus, xenstore for programs.
 *
 * What is written is a stream of requests, what is read a stream of replies
 * and watch events, both as on the wire (xen/io/xs_wire.h). Each open file is
 * a connection of its own, see chardev_conn.c; what it leaves behind is
 * cleaned up when it is closed.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "chardev.h"

/* Requests one file may have in flight before its writes wait. */
#define CHARDEV_IN_FLIGHT	32
/* How long unloading waits for what closed files have in flight. */
#define CHARDEV_DRAIN		(10 * HZ)

static struct workqueue_struct *chardev_wq;
static DECLARE_WAIT_QUEUE_HEAD(chardev_gone);

/* No request is in flight and no file open: nobody else sees @f any more. */
static void chardev_free(struct chardev_file *f)
{
	struct chardev_msg *msg, *next_msg;

	remove_wait_queue(comms_end(), &f->end);
	chardev_conn_end(f);
	list_for_each_entry_safe(msg, next_msg, &f->unread, list)
		kfree(msg);
	kfree(f);
	xenbus_uncount(opens);
	wake_up_all(&chardev_gone);
}

static void chardev_cleanup(struct work_struct *work)
{
	chardev_free(container_of(work, struct chardev_file, cleanup));
}

/* The last reference went with a reply, in the reader thread. */
static void chardev_free_later(struct kref *ref)
{
	struct chardev_file *f = container_of(ref, struct chardev_file, ref);

	queue_work(chardev_wq, &f->cleanup);
}

void chardev_put_later(struct chardev_file *f)
{
	kref_put(&f->ref, chardev_free_later);
}

/* It went with the file: all is cleaned up when close() returns. */
static void chardev_free_now(struct kref *ref)
{
	chardev_free(container_of(ref, struct chardev_file, ref));
}

/* ---- the file ---- */

static bool chardev_may_write(struct chardev_file *f)
{
	return READ_ONCE(f->in_flight) < CHARDEV_IN_FLIGHT &&
	       READ_ONCE(f->nr_unread) < CHARDEV_UNREAD;
}

/* Take what belongs to the request under assembly. Return: bytes, or errno. */
static ssize_t chardev_take(struct chardev_file *f, const char __user *buf,
			    size_t len)
{
	u32 want;
	void *to = xs_in_space(&f->in, &want);
	int whole;
	int err;

	want = min_t(size_t, want, len);
	if (copy_from_user(to, buf, want))
		return -EFAULT;
	whole = xs_in_took(&f->in, want);
	if (!whole)
		return want;
	err = whole < 0 ? -EINVAL : chardev_conn_request(f);
	/* the next byte begins a request, whatever became of this one */
	xs_in_reset(&f->in);
	return err ? err : (ssize_t)want;
}

static ssize_t chardev_write(struct file *file, const char __user *buf,
			     size_t len, loff_t *pos)
{
	struct chardev_file *f = file->private_data;
	ssize_t done = 0, n = 0;

	if (mutex_lock_interruptible(&f->write_lock))
		return -ERESTARTSYS;
	while (done < len) {
		if (!chardev_may_write(f)) {
			n = -EAGAIN;
			if (done || file->f_flags & O_NONBLOCK)
				break;
			n = wait_event_interruptible(f->wait,
						     chardev_may_write(f));
			if (n)
				break;
		}
		n = chardev_take(f, buf + done, len - done);
		if (n < 0)
			break;
		done += n;
	}
	mutex_unlock(&f->write_lock);
	return done ?: n;
}

static struct chardev_msg *chardev_first(struct chardev_file *f)
{
	struct chardev_msg *msg;

	spin_lock(&f->lock);
	msg = list_first_entry_or_null(&f->unread, struct chardev_msg, list);
	spin_unlock(&f->lock);
	return msg;
}

static void chardev_drop_first(struct chardev_file *f, struct chardev_msg *msg)
{
	spin_lock(&f->lock);
	list_del(&msg->list);
	f->nr_unread--;
	spin_unlock(&f->lock);
	kfree(msg);
	/* writers wait for room here */
	wake_up_interruptible(&f->wait);
}

/* Everything that is there, as far as the buffer goes. */
static ssize_t chardev_give(struct chardev_file *f, char __user *buf,
			    size_t len)
{
	struct chardev_msg *msg;
	size_t done = 0;

	while (done < len && (msg = chardev_first(f))) {
		size_t n = min_t(size_t, len - done, msg->len - msg->read);

		if (copy_to_user(buf + done, msg->data + msg->read, n))
			return done ? (ssize_t)done : -EFAULT;
		/* under the lock: chardev_is_queued() looks at it */
		spin_lock(&f->lock);
		msg->read += n;
		spin_unlock(&f->lock);
		done += n;
		if (msg->read == msg->len)
			chardev_drop_first(f, msg);
	}
	return done;
}

static ssize_t chardev_read(struct file *file, char __user *buf, size_t len,
			    loff_t *pos)
{
	struct chardev_file *f = file->private_data;
	ssize_t n;

	if (!len)
		return 0;
	if (mutex_lock_interruptible(&f->read_lock))
		return -ERESTARTSYS;
	while (!(n = chardev_give(f, buf, len))) {
		mutex_unlock(&f->read_lock);
		if (comms_broken())
			return -EIO;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(f->wait, chardev_first(f) ||
					     comms_broken()))
			return -ERESTARTSYS;
		if (mutex_lock_interruptible(&f->read_lock))
			return -ERESTARTSYS;
	}
	mutex_unlock(&f->read_lock);
	return n;
}

static __poll_t chardev_poll(struct file *file, poll_table *table)
{
	struct chardev_file *f = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &f->wait, table);
	if (chardev_first(f))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (chardev_may_write(f))
		mask |= EPOLLOUT | EPOLLWRNORM;
	if (comms_broken())
		mask |= EPOLLERR;
	return mask;
}

/* The transport broke: nothing more will come. */
static int chardev_ended(wait_queue_entry_t *end, unsigned int mode, int sync,
			 void *key)
{
	wake_up_all(&container_of(end, struct chardev_file, end)->wait);
	return 0;
}

static int chardev_open(struct inode *inode, struct file *file)
{
	struct chardev_file *f;

	if (comms_broken())
		return -EIO;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	kref_init(&f->ref);
	INIT_WORK(&f->cleanup, chardev_cleanup);
	mutex_init(&f->write_lock);
	mutex_init(&f->read_lock);
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->watches);
	INIT_LIST_HEAD(&f->unread);
	INIT_LIST_HEAD(&f->txns);
	init_waitqueue_head(&f->wait);
	init_waitqueue_func_entry(&f->end, chardev_ended);
	add_wait_queue(comms_end(), &f->end);
	file->private_data = f;
	xenbus_count(opens);
	return stream_open(inode, file);
}

static int chardev_release(struct inode *inode, struct file *file)
{
	struct chardev_file *f = file->private_data;

	kref_put(&f->ref, chardev_free_now);
	return 0;
}

static const struct file_operations chardev_fops = {
	.owner = THIS_MODULE,
	.open = chardev_open,
	.release = chardev_release,
	.read = chardev_read,
	.write = chardev_write,
	.poll = chardev_poll,
};

/* devtmpfs and udev make /dev/xen/xenbus of it */
static struct miscdevice chardev_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "pvhvm-xenbus",
	.nodename = "xen/xenbus",
	.fops = &chardev_fops,
	.mode = 0600,
};

int chardev_init(void)
{
	int err;

	chardev_wq = alloc_workqueue("pvhvm-chardev", WQ_UNBOUND, 0);
	if (!chardev_wq)
		return -ENOMEM;
	err = misc_register(&chardev_misc);
	if (err) {
		pr_err("cannot make /dev/xen/xenbus (%d)\n", err);
		destroy_workqueue(chardev_wq);
	}
	return err;
}

/* All files are closed, but replies to them may still be on their way. */
void chardev_exit(void)
{
	misc_deregister(&chardev_misc);
	if (!wait_event_timeout(chardev_gone,
				!atomic_read(&xenbus_stats.opens),
				CHARDEV_DRAIN)) {
		pr_warn("xenstored owes closed programs an answer, not waiting any longer\n");
		xs_abandon();
		wait_event(chardev_gone, !atomic_read(&xenbus_stats.opens));
	}
	destroy_workqueue(chardev_wq);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * ctrl.c: the control ring: requests and their answers (xen/io/netif.h).
 *
 * One request at a time, its answer waited for: that is all that ethtool
 * needs, and leaves nothing to sort out when a connection ends.
 */
#include "netfront.h"

#include <linux/rtnetlink.h>
#include <linux/slab.h>

#define CTRL_SIZE	__CONST_RING_SIZE(xen_netif_ctrl, NETF_PAGE_SIZE)
/* An answer takes a backend microseconds; a dead one none at all. */
#define CTRL_TIMEOUT	(5 * HZ)

static irqreturn_t ctrl_event(int irq, void *data)
{
	struct netf_dev *nd = data;

	wake_up(&nd->ctrl.wait);
	return IRQ_HANDLED;
}

/* ---- asking ---- */

static void ctrl_push(struct netf_ctrl *ctrl,
		      const struct xen_netif_ctrl_request *req)
{
	struct xen_netif_ctrl_sring *sring = ctrl->sring;
	RING_IDX old = ctrl->prod;

	PVHVM_RING_ENTRY(sring, old, CTRL_SIZE)->req = *req;
	WRITE_ONCE(sring->rsp_event, old + 1);
	ctrl->prod++;
	virt_wmb();	/* the request, before the backend is told of it */
	WRITE_ONCE(sring->req_prod, ctrl->prod);
	virt_mb();	/* tell first, then look whether it wants to be woken */
	if (netf_must_notify(old, ctrl->prod, READ_ONCE(sring->req_event)))
		pvhvm_evtchn_notify(&ctrl->chan);
}

static int ctrl_errno(u32 status)
{
	switch (status) {
	case XEN_NETIF_CTRL_STATUS_SUCCESS:
		return 0;
	case XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	case XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER:
		return -EINVAL;
	case XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

static int ctrl_answer(struct netf_dev *nd,
		       const struct xen_netif_ctrl_request *req, u32 *data)
{
	struct netf_ctrl *ctrl = &nd->ctrl;
	RING_IDX idx = ctrl->prod - 1;
	struct xen_netif_ctrl_response rsp;

	if (READ_ONCE(ctrl->sring->rsp_prod) != ctrl->prod) {
		netf_breach(&nd->queue[0], NETF_BREACH_CTRL);
		return -EIO;
	}
	pvhvm_evtchn_useful(&ctrl->chan);
	virt_rmb();	/* the answer after the promise that it is there */
	memcpy(&rsp, &PVHVM_RING_ENTRY(ctrl->sring, idx, CTRL_SIZE)->rsp,
	       sizeof(rsp));
	barrier();	/* what is judged is the copy */
	if (!netf_ctrl_answers(req, &rsp)) {
		netf_breach(&nd->queue[0], NETF_BREACH_CTRL);
		return -EIO;
	}
	if (data)
		*data = rsp.data;
	return ctrl_errno(rsp.status);
}

int netf_ctrl_request(struct netf_dev *nd, u16 type, u32 d0, u32 d1, u32 d2,
		      u32 *data)
{
	struct netf_ctrl *ctrl = &nd->ctrl;
	struct xen_netif_ctrl_request req = {
		.id = (u16)ctrl->prod,
		.type = type,
		.data = { d0, d1, d2 },
	};
	RING_IDX before = ctrl->prod;

	ASSERT_RTNL();
	if (!ctrl->sring)
		return -EOPNOTSUPP;
	if (ctrl->silent || nd->broken)
		return -EIO;
	ctrl_push(ctrl, &req);
	if (!wait_event_timeout(ctrl->wait,
				READ_ONCE(ctrl->sring->rsp_prod) != before,
				CTRL_TIMEOUT)) {
		ctrl->silent = true;
		netdev_warn(nd->netdev,
			    "the backend does not answer on the control ring\n");
		return -ETIMEDOUT;
	}
	return ctrl_answer(nd, &req, data);
}

/* ---- existence ---- */

static int ctrl_page(struct netf_dev *nd)
{
	struct netf_ctrl *ctrl = &nd->ctrl;
	int err;

	err = pvhvm_grants_reserve(&ctrl->grants, 1);
	if (err)
		return err;
	/* Zeroed: the backend sees the whole page from now on. */
	ctrl->page = (void *)get_zeroed_page(GFP_KERNEL);
	if (!ctrl->page)
		return -ENOMEM;
	ctrl->page_ref = pvhvm_grant_take(&ctrl->grants);
	pvhvm_grant_access(ctrl->page_ref, nd->pdev->otherend_id,
			   page_to_pfn(virt_to_page(ctrl->page)), true);
	return 0;
}

int netf_ctrl_build(struct netf_dev *nd)
{
	struct netf_ctrl *ctrl = &nd->ctrl;
	struct xen_netif_ctrl_sring *sring;
	int err;

	memset(ctrl, 0, sizeof(*ctrl));
	init_waitqueue_head(&ctrl->wait);
	if (!nd->feat.ctrl)
		return 0;
	if (netf_fail_step(nd, "control page"))
		return -ENOMEM;
	err = ctrl_page(nd);
	if (err)
		return err;
	if (netf_fail_step(nd, "control ring"))
		return -ENOMEM;
	err = pvhvm_ring_alloc(nd->pdev, &ctrl->ring, 1);
	if (err)
		return err;
	sring = ctrl->ring.addr;
	SHARED_RING_INIT(sring);

	snprintf(ctrl->name, sizeof(ctrl->name), "vif%u-ctrl", nd->pdev->id);
	if (netf_fail_step(nd, "control channel"))
		return -ENOMEM;
	err = pvhvm_evtchn_open(&ctrl->chan, nd->pdev->otherend_id, ctrl_event,
				ctrl->name, nd);
	if (!err)
		ctrl->sring = sring;
	return err;
}

void netf_ctrl_free(struct netf_dev *nd)
{
	struct netf_ctrl *ctrl = &nd->ctrl;

	ctrl->sring = NULL;
	pvhvm_evtchn_close(&ctrl->chan, nd);
	pvhvm_ring_free(&ctrl->ring);
	if (ctrl->page_ref && pvhvm_grant_end(ctrl->page_ref)) {
		pvhvm_grant_put(&ctrl->grants, ctrl->page_ref);
		free_page((unsigned long)ctrl->page);
	} else if (ctrl->page_ref) {
		pvhvm_grant_park(&ctrl->grants, ctrl->page_ref,
				 virt_to_page(ctrl->page));
	}
	ctrl->page_ref = PVHVM_GRANT_NONE;
	ctrl->page = NULL;
	pvhvm_grants_release(&ctrl->grants);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xs_resync.h: find the message boundaries of a ring somebody else has used.
 *
 * A kernel that died (kexec after a crash) may have left half a request
 * behind, and half a reply unread. A server that offers reconnection starts
 * afresh on request; with others the boundaries must be found on the wire:
 *
 * Zero bytes are fed to the server. They complete whatever request it still
 * waits for, and from then on every 16 of them are a request of their own:
 * type 0, id 0, length 0. The server refuses that one from a guest, with an
 * error message whose header is recognisable in the stream of replies:
 *
 *	XS_ERROR, id 0, transaction 0, a short length, 'E'
 *
 * The boundary is where that error arrives before another byte is fed. So
 * bytes are fed singly once the server has shown a sign of life (it answered
 * the request that was left half), and 16 at a time before. Id 0 is never
 * used by this client: further errors for it are dropped later.
 *
 * Pure code; the caller moves the bytes and waits.
 */
#ifndef PVHVM_XENBUS_XS_RESYNC_H
#define PVHVM_XENBUS_XS_RESYNC_H

#include "xs_msg.h"

/* Half a request at its longest, a whole one of zeros behind it, and slack. */
#define XS_RESYNC_MAX	(XS_MSG_MAX + 4 * sizeof(struct xsd_sockmsg))
#define XS_RESYNC_LONGEST_ERROR	16

/**
 * struct xs_resync - progress of the search
 * @win: the last bytes of the reply stream, oldest first; bytes that have
 *	not come yet are 0xff
 * @alive: the server has replied something since the first byte was fed
 * @left: of a recognised error, bytes of its text still to come
 * @found: an error for id 0 has been recognised; the reply stream is at a
 *	boundary once @left is 0
 * @fed: zero bytes fed so far
 */
struct xs_resync {
	unsigned char win[sizeof(struct xsd_sockmsg) + 1];
	bool alive;
	bool found;
	u32 left;
	u32 fed;
};

static inline void xs_resync_init(struct xs_resync *r)
{
	memset(r, 0, sizeof(*r));
	memset(r->win, 0xff, sizeof(r->win));
}

static inline bool xs_resync_window_is_error(const struct xs_resync *r)
{
	struct xsd_sockmsg hdr;

	memcpy(&hdr, r->win, sizeof(hdr));
	return hdr.type == XS_ERROR && !hdr.req_id && !hdr.tx_id &&
	       hdr.len >= 2 && hdr.len <= XS_RESYNC_LONGEST_ERROR &&
	       r->win[sizeof(hdr)] == 'E';
}

/* One byte of the reply stream. */
static inline void xs_resync_byte(struct xs_resync *r, unsigned char c)
{
	r->alive = true;
	if (r->left) {
		r->left--;
		return;
	}
	memmove(r->win, r->win + 1, sizeof(r->win) - 1);
	r->win[sizeof(r->win) - 1] = c;
	if (xs_resync_window_is_error(r)) {
		struct xsd_sockmsg hdr;

		memcpy(&hdr, r->win, sizeof(hdr));
		r->left = hdr.len - 1;
		r->found = true;
		memset(r->win, 0xff, sizeof(r->win));
	}
}

/* Both streams are at a boundary. */
static inline bool xs_resync_done(const struct xs_resync *r)
{
	return r->found && !r->left;
}

/*
 * How many zero bytes to feed next, when no reply came to the last ones;
 * 0 when there is no point in going on.
 */
static inline u32 xs_resync_feed(struct xs_resync *r)
{
	u32 n = r->alive ? 1 : sizeof(struct xsd_sockmsg);

	if (r->fed + n > XS_RESYNC_MAX)
		return 0;
	r->fed += n;
	return n;
}

#endif /* PVHVM_XENBUS_XS_RESYNC_H */

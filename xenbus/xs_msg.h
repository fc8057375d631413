/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xs_msg.h: the pure half of the xenstore client: ring arithmetic, message
 * assembly, strings in payloads, paths, tokens. Nothing here sleeps, locks,
 * allocates or touches shared memory by itself, and it also compiles in user
 * space, where tests/unit/xs_msg.c exercises it.
 *
 * Wire format: xen/io/xs_wire.h, ring: Xen docs/misc/xenstore-ring.txt.
 */
#ifndef PVHVM_XENBUS_XS_MSG_H
#define PVHVM_XENBUS_XS_MSG_H

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#include <xen-public/io/xenbus.h>
#include <xen-public/io/xs_wire.h>

/* A message at its longest: header and payload. */
#define XS_MSG_MAX	(sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

/* ---- the ring's free-running indices ---- */

/*
 * Bytes between consumer and producer, or -EPROTO when the two cannot belong
 * to one ring. Both are snapshots: never pass an expression that reads the
 * shared page.
 */
static inline int xs_ring_used(u32 prod, u32 cons)
{
	u32 used = prod - cons;

	return used <= XENSTORE_RING_SIZE ? (int)used : -EPROTO;
}

/* How many of @want bytes from index @idx on lie in one piece. */
static inline u32 xs_ring_piece(u32 idx, u32 want)
{
	u32 room = XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(idx);

	return want < room ? want : room;
}

/* ---- assembling what arrives ---- */

/**
 * struct xs_in - a message under assembly
 * @hdr: its header, valid once @have reaches the header's size
 * @have: bytes taken so far, header included
 * @body: the payload; a NUL is put behind it when it is complete
 */
struct xs_in {
	struct xsd_sockmsg hdr;
	u32 have;
	char body[XENSTORE_PAYLOAD_MAX + 1];
};

/* Where the next bytes go, and how many are welcome there (never 0). */
static inline void *xs_in_space(struct xs_in *in, u32 *want)
{
	u32 have = in->have;

	if (have < sizeof(in->hdr)) {
		*want = sizeof(in->hdr) - have;
		return (char *)&in->hdr + have;
	}
	have -= sizeof(in->hdr);
	*want = in->hdr.len - have;
	return in->body + have;
}

/*
 * Account for @n bytes written to xs_in_space(). Return: 1 when the message
 * is complete (xs_in_reset() before the next), 0 when more is needed,
 * -EPROTO when the header claims a payload longer than the protocol allows.
 */
static inline int xs_in_took(struct xs_in *in, u32 n)
{
	in->have += n;
	if (in->have < sizeof(in->hdr))
		return 0;
	if (in->hdr.len > XENSTORE_PAYLOAD_MAX)
		return -EPROTO;
	if (in->have - sizeof(in->hdr) < in->hdr.len)
		return 0;
	in->body[in->hdr.len] = '\0';
	return 1;
}

static inline void xs_in_reset(struct xs_in *in)
{
	in->have = 0;
}

/* ---- payloads ---- */

/* Complete (NUL-terminated) strings in a payload. */
static inline unsigned int xs_count_strings(const char *body, u32 len)
{
	unsigned int n = 0;
	u32 i;

	for (i = 0; i < len; i++)
		n += body[i] == '\0';
	return n;
}

/*
 * The two strings "first\0second\0" a WATCH, UNWATCH or WATCH_EVENT starts
 * with. Return: 0, or -EINVAL when there are not two complete ones.
 */
static inline int xs_two_strings(const char *body, u32 len,
				 const char **first, const char **second)
{
	const char *end = memchr(body, '\0', len);
	u32 skip;

	if (!end)
		return -EINVAL;
	skip = end - body + 1;
	if (!memchr(body + skip, '\0', len - skip))
		return -EINVAL;
	*first = body;
	*second = body + skip;
	return 0;
}

/*
 * The errno (negative) behind the string of an XS_ERROR. What xs_wire.h does not
 * have is an answer all the same: -ENOSPC for oxenstored's word for what is full,
 * else -EPROTO.
 */
static inline int xs_error_to_errno(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strcmp(xsd_errors[i].errstring, name))
			return -xsd_errors[i].errnum;
	return strcmp(name, "EQUOTA") ? -EPROTO : -ENOSPC;
}

/* The string for an errno (given negative); "EIO" if xenstore has none. */
static inline const char *xs_errno_to_error(int err)
{
	size_t i;

	for (i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (xsd_errors[i].errnum == -err)
			return xsd_errors[i].errstring;
	return "EIO";
}

/*
 * Strict decimal: digits only, no sign, no space, no overflow.
 * Return: 0 or -EINVAL, then *value is untouched.
 */
static inline int xs_parse_u64(const char *s, size_t len, u64 *value)
{
	u64 v = 0;
	size_t i;

	if (!len)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		unsigned int d = (unsigned int)(s[i] - '0');

		if (d > 9 || v > (~(u64)0 - d) / 10)
			return -EINVAL;
		v = v * 10 + d;
	}
	*value = v;
	return 0;
}

/* ---- paths ---- */

/*
 * "dir/node" (just @dir if @node is empty) with its NUL into @buf.
 * Return: length without the NUL, -EINVAL if nothing is left, -ENAMETOOLONG.
 */
static inline int xs_join(char *buf, size_t size, const char *dir,
			  const char *node)
{
	size_t d = strlen(dir), n = strlen(node);
	size_t sep = d && n && dir[d - 1] != '/';

	if (!d && !n)
		return -EINVAL;
	if (d + sep + n >= size)
		return -ENAMETOOLONG;
	memcpy(buf, dir, d);
	if (sep)
		buf[d] = '/';
	memcpy(buf + d + sep, node, n + 1);
	return (int)(d + sep + n);
}

/**
 * struct xs_dev_path - what a path below "device" is about
 * @type: "vif", empty when the path ends before
 * @id: its number, valid if @has_id
 * @has_id: the path names a device
 * @deeper: the path names something inside that device
 */
struct xs_dev_path {
	char type[32];
	unsigned int id;
	bool has_id;
	bool deeper;
};

/*
 * A device's number as xenstore spells it: no leading zeros, fits an int.
 * Return: 0 or -EINVAL.
 */
static inline int xs_parse_id(const char *s, size_t len, unsigned int *id)
{
	u64 v;

	if (len > 1 && s[0] == '0')
		return -EINVAL;
	if (xs_parse_u64(s, len, &v) || v > 0x7fffffff)
		return -EINVAL;
	*id = (unsigned int)v;
	return 0;
}

/*
 * Split "device[/type[/id[/...]]]". Return: 0; -EINVAL for anything else, an
 * unusual type or id included: those cannot become a device.
 */
static inline int xs_parse_dev_path(const char *path, struct xs_dev_path *p)
{
	static const char root[] = "device";
	const char *s = path + sizeof(root) - 1, *end;
	size_t len;

	memset(p, 0, sizeof(*p));
	if (strncmp(path, root, sizeof(root) - 1))
		return -EINVAL;
	if (!*s)
		return 0;
	if (*s++ != '/')
		return -EINVAL;
	end = strchr(s, '/');
	len = end ? (size_t)(end - s) : strlen(s);
	if (!len || len >= sizeof(p->type))
		return -EINVAL;
	memcpy(p->type, s, len);
	if (!end)
		return 0;
	s = end + 1;
	end = strchr(s, '/');
	len = end ? (size_t)(end - s) : strlen(s);
	if (xs_parse_id(s, len, &p->id))
		return -EINVAL;
	p->has_id = true;
	p->deeper = end;
	return 0;
}

/* ---- watch tokens ---- */

/* Tokens of this client are "pvhvm-" and eight hex digits. */
#define XS_TOKEN_PREFIX	"pvhvm-"
#define XS_TOKEN_SIZE	(sizeof(XS_TOKEN_PREFIX) + 8)

static inline void xs_token_format(char *buf, u32 id)
{
	snprintf(buf, XS_TOKEN_SIZE, XS_TOKEN_PREFIX "%08x", id);
}

/* Return: 0, or -EINVAL when it is no token of ours. */
static inline int xs_token_parse(const char *s, u32 *id)
{
	const size_t prefix = sizeof(XS_TOKEN_PREFIX) - 1;
	u32 v = 0;
	size_t i;

	if (strlen(s) != XS_TOKEN_SIZE - 1 ||
	    strncmp(s, XS_TOKEN_PREFIX, prefix))
		return -EINVAL;
	for (i = prefix; i < XS_TOKEN_SIZE - 1; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (u32)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (u32)(c - 'a' + 10);
		else
			return -EINVAL;
	}
	*id = v;
	return 0;
}

/* ---- states ---- */

/* A word for a state of xen/io/xenbus.h. */
static inline const char *xs_state_name(unsigned int state)
{
	static const char * const name[] = {
		[XenbusStateUnknown] = "unknown",
		[XenbusStateInitialising] = "initialising",
		[XenbusStateInitWait] = "initwait",
		[XenbusStateInitialised] = "initialised",
		[XenbusStateConnected] = "connected",
		[XenbusStateClosing] = "closing",
		[XenbusStateClosed] = "closed",
		[XenbusStateReconfiguring] = "reconfiguring",
		[XenbusStateReconfigured] = "reconfigured",
	};

	return state < sizeof(name) / sizeof(name[0]) ? name[state] : "invalid";
}

#endif /* PVHVM_XENBUS_XS_MSG_H */

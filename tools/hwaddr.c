// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hwaddr.h"
#include "sysfs.h"
#include "text.h"

static bool ask_driver(const char *ifname, unsigned char addr[6])
{
	static const unsigned char none[6];
	union {
		struct ethtool_perm_addr head;
		unsigned char room[sizeof(struct ethtool_perm_addr) + 32];
	} q = { .head = { .cmd = ETHTOOL_GPERMADDR, .size = 32 } };
	struct ifreq ifr = { .ifr_data = (void *)&q };
	int fd, err;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	text_set(ifr.ifr_name, sizeof(ifr.ifr_name), ifname);
	err = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	if (err || q.head.size != 6)
		return false;
	memcpy(addr, q.room + sizeof(q.head), 6);
	return memcmp(addr, none, 6);
}

void hwaddr_permanent(const char *ifname, char mac[18])
{
	unsigned char a[6];

	if (!sysfs_is_moved() && ask_driver(ifname, a))
		snprintf(mac, 18, "%02x:%02x:%02x:%02x:%02x:%02x",
			 a[0], a[1], a[2], a[3], a[4], a[5]);
	else
		sysfs_read(mac, 18, "/sys/class/net/%s/address", ifname);
}

// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.h"

#define ASK_EVERY_MS 50
#define REFRESH_EVERY_MS 100

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

struct arp_frame {
	struct ethhdr eth;
	struct ether_arp arp;
} __attribute__((packed));

/* Solicitation and advertisement have the same layout (RFC 4861). */
struct nd_frame {
	struct ethhdr eth;
	struct ip6_hdr ip;
	struct icmp6_hdr icmp;
	struct in6_addr target;
	uint8_t option[2];
	uint8_t mac[6];
} __attribute__((packed));

/*
 * All frames, because those of a bridge port are not handed to handlers of
 * one protocol; but only ARP and neighbour advertisements, because the link
 * may be busy and the queue short.
 */
static int open_link(int ifindex)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 54),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_ifindex = ifindex,
		.sll_protocol = htons(ETH_P_ALL),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A frame lost here is asked or announced again. */
static void send_frame(int fd, const void *frame, size_t len)
{
	if (send(fd, frame, len, 0) < 0)
		return;
}

static void send_arp(int fd, int op, const uint8_t mac[6], const void *source,
		     const void *target)
{
	struct arp_frame f = {
		.eth.h_proto = htons(op == ARPOP_RREQUEST ? ETH_P_RARP : ETH_P_ARP),
		.arp.ea_hdr = {
			.ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETH_P_IP),
			.ar_hln = 6, .ar_pln = 4, .ar_op = htons(op),
		},
	};

	memcpy(f.eth.h_dest, broadcast, 6);
	memcpy(f.eth.h_source, mac, 6);
	memcpy(f.arp.arp_sha, mac, 6);
	if (op == ARPOP_RREQUEST)
		memcpy(f.arp.arp_tha, mac, 6);
	memcpy(f.arp.arp_spa, source, 4);
	memcpy(f.arp.arp_tpa, target, 4);
	send_frame(fd, &f, sizeof(f));
}

static uint32_t add_words(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += p[i] << 8 | p[i + 1];
	return sum;
}

static void send_nd(int fd, int type, const uint8_t mac[6],
		    const struct in6_addr *source, const struct in6_addr *target)
{
	struct nd_frame f = {
		.eth.h_proto = htons(ETH_P_IPV6),
		.ip.ip6_nxt = IPPROTO_ICMPV6, .ip.ip6_hlim = 255,
		.icmp.icmp6_type = type, .target = *target, .option = { 0, 1 },
	};
	const size_t len = sizeof(f) - sizeof(f.eth) - sizeof(f.ip);
	uint32_t sum;

	f.ip.ip6_vfc = 6 << 4;
	f.ip.ip6_plen = htons(len);
	f.ip.ip6_src = *source;
	if (type == ND_NEIGHBOR_SOLICIT) {
		/* ff02::1:ffXX:XXXX */
		static const uint8_t head[13] = { 0xff, 2, [11] = 1, [12] = 0xff };

		memcpy(&f.ip.ip6_dst, head, 13);
		memcpy((uint8_t *)&f.ip.ip6_dst + 13, (uint8_t *)target + 13, 3);
		f.option[0] = ND_OPT_SOURCE_LINKADDR;
	} else {
		static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };

		memcpy(&f.ip.ip6_dst, all_nodes, 16);
		f.icmp.icmp6_data32[0] = ND_NA_FLAG_OVERRIDE;
		f.option[0] = ND_OPT_TARGET_LINKADDR;
	}
	f.eth.h_dest[0] = 0x33;
	f.eth.h_dest[1] = 0x33;
	memcpy(f.eth.h_dest + 2, (uint8_t *)&f.ip.ip6_dst + 12, 4);
	memcpy(f.eth.h_source, mac, 6);
	memcpy(f.mac, mac, 6);
	sum = add_words(len + IPPROTO_ICMPV6, &f.ip.ip6_src, 32);
	sum = add_words(sum, &f.icmp, len);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	f.icmp.icmp6_cksum = htons(~sum & 0xffff);
	send_frame(fd, &f, sizeof(f));
}

static bool is_answer(const uint8_t *frame, ssize_t len, const struct netcfg_peer *peer)
{
	if (peer->family == AF_INET) {
		const struct arp_frame *f = (const void *)frame;

		return len >= (ssize_t)sizeof(*f) && f->arp.ea_hdr.ar_op == htons(ARPOP_REPLY) &&
		       !memcmp(f->arp.arp_spa, &peer->addr, 4);
	} else {
		const struct nd_frame *f = (const void *)frame;

		return len >= 78 && f->eth.h_proto == htons(ETH_P_IPV6) &&
		       f->icmp.icmp6_type == ND_NEIGHBOR_ADVERT &&
		       !memcmp(&f->target, &peer->addr, 16);
	}
}

static void send_question(int fd, const uint8_t mac[6], const struct netcfg_peer *peer)
{
	if (peer->family == AF_INET)
		send_arp(fd, ARPOP_REQUEST, mac, &peer->source, &peer->addr);
	else
		send_nd(fd, ND_NEIGHBOR_SOLICIT, mac, &peer->source.v6, &peer->addr.v6);
}

bool probe_answers(int ifindex, const uint8_t mac[6],
		   const struct netcfg_peer *peer, double seconds)
{
	double end = text_now() + seconds, ask = 0;
	int gap = ASK_EVERY_MS;
	bool answer = false;
	int fd = open_link(ifindex);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return false;
	while (!answer && text_now() < end) {
		struct sockaddr_ll from;
		socklen_t size = sizeof(from);
		uint8_t frame[256];
		ssize_t len;

		if (text_now() >= ask) {
			ask = text_now() + gap / 1e3;
			if (gap < 400)
				gap *= 2;
			send_question(fd, mac, peer);
		}
		poll(&p, 1, 10);
		while (!answer && (len = recvfrom(fd, frame, sizeof(frame), MSG_TRUNC,
						  (void *)&from, &size)) > 0) {
			if (len > (ssize_t)sizeof(frame))
				len = sizeof(frame);
			answer = from.sll_pkttype != PACKET_OUTGOING &&
				 is_answer(frame, len, peer);
			size = sizeof(from);
		}
	}
	close(fd);
	return answer;
}

void probe_refresh(int ifindex, const uint8_t mac[6], const struct netcfg_peer *peers,
		   int n, double seconds)
{
	double end = text_now() + seconds;
	int fd = open_link(ifindex);

	if (fd < 0)
		return;
	do {
		for (int i = 0; i < n; i++)
			send_question(fd, mac, &peers[i]);
		usleep(REFRESH_EVERY_MS * 1000);
	} while (text_now() < end);
	close(fd);
}

void probe_announce(const struct netcfg *cfg, int ifindex)
{
	static const uint8_t nobody[4];
	int fd = open_link(ifindex);

	if (fd < 0)
		return;
	for (int i = 0; i < cfg->addrs.n; i++) {
		struct ifaddrmsg *ifa = nlmsg_data(cfg->addrs.v[i]);
		struct nlattr *a;

		a = nlmsg_find_attr(cfg->addrs.v[i], sizeof(*ifa), IFA_LOCAL);
		if (!a)
			a = nlmsg_find_attr(cfg->addrs.v[i], sizeof(*ifa), IFA_ADDRESS);
		if (a && ifa->ifa_family == AF_INET)
			send_arp(fd, ARPOP_REQUEST, cfg->mac, nla_data(a), nla_data(a));
		else if (a && ifa->ifa_family == AF_INET6)
			send_nd(fd, ND_NEIGHBOR_ADVERT, cfg->mac, nla_data(a), nla_data(a));
	}
	if (!cfg->addrs.n)
		send_arp(fd, ARPOP_RREQUEST, cfg->mac, nobody, nobody);
	close(fd);
}

void probe_peer_text(const struct netcfg_peer *peer, char *buf, unsigned int size)
{
	if (!inet_ntop(peer->family, &peer->addr, buf, size))
		buf[0] = '\0';
}

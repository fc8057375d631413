# SPDX-License-Identifier: GPL-2.0-only
# The outer machine: q35 with what Xen and dom0 use, nothing else.
CONFIG_Q35=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_SERIAL_ISA=y

// Kernel constants of TAP devices and of vhost-net: the _IO* macros are expressions that Swift cannot import.
// Included by CHost.h; the same conventions hold.
#ifndef VOLARY_CHOST_NETWORK_H
#define VOLARY_CHOST_NETWORK_H

#include <linux/if_tun.h>
#include <linux/vhost.h>

static const unsigned long volary_tun_set_device = TUNSETIFF;
static const unsigned long volary_tun_set_header_size = TUNSETVNETHDRSZ;
static const unsigned long volary_tun_set_little_endian = TUNSETVNETLE;
static const unsigned long volary_tun_set_offload = TUNSETOFFLOAD;

static const unsigned long volary_vhost_get_features = VHOST_GET_FEATURES;
static const unsigned long volary_vhost_set_features = VHOST_SET_FEATURES;
static const unsigned long volary_vhost_set_owner = VHOST_SET_OWNER;
static const unsigned long volary_vhost_set_memory = VHOST_SET_MEM_TABLE;
static const unsigned long volary_vhost_set_log = VHOST_SET_LOG_BASE;
static const unsigned long volary_vhost_set_ring_size = VHOST_SET_VRING_NUM;
static const unsigned long volary_vhost_set_ring_addresses = VHOST_SET_VRING_ADDR;
static const unsigned long volary_vhost_set_ring_position = VHOST_SET_VRING_BASE;
static const unsigned long volary_vhost_set_kick = VHOST_SET_VRING_KICK;
static const unsigned long volary_vhost_set_call = VHOST_SET_VRING_CALL;
static const unsigned long volary_vhost_set_error = VHOST_SET_VRING_ERR;
static const unsigned long volary_vhost_set_backend = VHOST_NET_SET_BACKEND;

#endif

// How a helper process gives up rights for ever. Included by CHost.h; the same conventions hold.
#ifndef VOLARY_CHOST_CONFINE_H
#define VOLARY_CHOST_CONFINE_H

/// Sets no_new_privs, forbids core dumps and being traced by others of the same user.
int volary_forbid_new_rights(void);
/// Leaves root for the user and group 65534 (nobody) and drops every capability; without root, drops
/// the capabilities there are.
int volary_become_nobody(void);
/// Sets the soft and hard limit of open descriptors, never above the present hard one.
int volary_limit_descriptors(unsigned long most);
/// A system-call filter: no new programs, no changes to the file system, no tracing, mounting, namespaces or
/// kernel interfaces that a network helper has no use for. Each fails with EPERM. Needs no_new_privs.
int volary_filter_network_helper(void);

#endif

#ifndef CNBDLIBRARIES_H
#define CNBDLIBRARIES_H

/// What libnbd calls of GnuTLS and libxml2. GnuTLS is loaded when TLS is first asked for, and a program that is linked
/// statically has none; addresses are parsed by us, so libxml2 is never there.

/// Whether there is TLS: whether GnuTLS could be loaded.
_Bool volary_nbd_has_tls(void);

#endif

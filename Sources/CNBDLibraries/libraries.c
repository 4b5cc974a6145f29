#include "CNBDLibraries.h"

#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <gnutls/socket.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

// A statically linked program has neither, and is not made to have them.
#pragma weak dlopen
#pragma weak dlsym

static void *library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  if (dlopen && dlsym) library = dlopen("libgnutls.so.30", RTLD_NOW | RTLD_LOCAL);
}

_Bool volary_nbd_has_tls(void) {
  pthread_once(&once, load);
  return library != NULL;
}

static void *find(_Atomic(void *) *place, const char *name) {
  void *found = atomic_load_explicit(place, memory_order_relaxed);
  if (!found && volary_nbd_has_tls()) {
    found = dlsym(library, name);
    atomic_store_explicit(place, found, memory_order_relaxed);
  }
  return found;
}

// Hidden, so that no shared library takes ours for the real ones.
#define HIDDEN __attribute__((visibility("hidden")))

#define FORWARD(type, name, failure, parameters, arguments) \
  HIDDEN type name parameters; \
  type name parameters { \
    static _Atomic(void *) place; \
    __typeof__(&name) call = (__typeof__(&name))find(&place, #name); \
    return call ? call arguments : failure; \
  }
#define FORWARD_VOID(name, parameters, arguments) \
  HIDDEN void name parameters; \
  void name parameters { \
    static _Atomic(void *) place; \
    __typeof__(&name) call = (__typeof__(&name))find(&place, #name); \
    if (call) call arguments; \
  }
#define NONE GNUTLS_E_UNIMPLEMENTED_FEATURE

typedef gnutls_session_t session;
typedef gnutls_certificate_credentials_t certificates;

FORWARD(int, gnutls_init, NONE, (session *s, unsigned flags), (s, flags))
FORWARD_VOID(gnutls_deinit, (session s), (s))
FORWARD(int, gnutls_bye, NONE, (session s, gnutls_close_request_t how), (s, how))
FORWARD(int, gnutls_handshake, NONE, (session s), (s))
FORWARD_VOID(gnutls_handshake_set_timeout, (session s, unsigned ms), (s, ms))
FORWARD(gnutls_handshake_description_t, gnutls_handshake_get_last_in, 0, (session s), (s))
FORWARD(gnutls_handshake_description_t, gnutls_handshake_get_last_out, 0, (session s), (s))
FORWARD(int, gnutls_error_is_fatal, 1, (int error), (error))
FORWARD(const char *, gnutls_strerror, "there is no GnuTLS", (int error), (error))
FORWARD(int, gnutls_priority_set_direct, NONE, (session s, const char *words, const char **wrong), (s, words, wrong))
FORWARD(int, gnutls_server_name_set, NONE, (session s, gnutls_server_name_type_t type, const void *name, size_t size),
        (s, type, name, size))
FORWARD_VOID(gnutls_session_set_verify_cert, (session s, const char *host, unsigned flags), (s, host, flags))
FORWARD(int, gnutls_credentials_set, NONE, (session s, gnutls_credentials_type_t type, void *what), (s, type, what))

FORWARD(ssize_t, gnutls_record_recv, NONE, (session s, void *data, size_t size), (s, data, size))
FORWARD(ssize_t, gnutls_record_send, NONE, (session s, const void *data, size_t size), (s, data, size))
FORWARD(size_t, gnutls_record_check_pending, 0, (session s), (s))
FORWARD(int, gnutls_record_get_direction, 0, (session s), (s))
FORWARD_VOID(gnutls_transport_set_int2, (session s, int receive, int send), (s, receive, send))
FORWARD(gnutls_transport_ktls_enable_flags_t, gnutls_transport_is_ktls_enabled, 0, (session s), (s))

FORWARD(int, gnutls_certificate_allocate_credentials, NONE, (certificates *c), (c))
FORWARD_VOID(gnutls_certificate_free_credentials, (certificates c), (c))
FORWARD(int, gnutls_certificate_set_x509_system_trust, NONE, (certificates c), (c))
FORWARD(int, gnutls_certificate_set_x509_trust_file, NONE,
        (certificates c, const char *file, gnutls_x509_crt_fmt_t type), (c, file, type))
FORWARD(int, gnutls_certificate_set_x509_crl_file, NONE,
        (certificates c, const char *file, gnutls_x509_crt_fmt_t type), (c, file, type))
FORWARD(int, gnutls_certificate_set_x509_key_file, NONE,
        (certificates c, const char *certificate, const char *key, gnutls_x509_crt_fmt_t type),
        (c, certificate, key, type))
FORWARD(int, gnutls_psk_allocate_client_credentials, NONE, (gnutls_psk_client_credentials_t *c), (c))
FORWARD_VOID(gnutls_psk_free_client_credentials, (gnutls_psk_client_credentials_t c), (c))
FORWARD(int, gnutls_psk_set_client_credentials, NONE,
        (gnutls_psk_client_credentials_t c, const char *name, const gnutls_datum_t *key, gnutls_psk_key_flags flags),
        (c, name, key, flags))

// What libnbd's log says of a session.
FORWARD(gnutls_cipher_algorithm_t, gnutls_cipher_get, 0, (session s), (s))
FORWARD(size_t, gnutls_cipher_get_key_size, 0, (gnutls_cipher_algorithm_t a), (a))
FORWARD(const char *, gnutls_cipher_get_name, NULL, (gnutls_cipher_algorithm_t a), (a))
FORWARD(gnutls_kx_algorithm_t, gnutls_kx_get, 0, (session s), (s))
FORWARD(const char *, gnutls_kx_get_name, NULL, (gnutls_kx_algorithm_t a), (a))
FORWARD(gnutls_mac_algorithm_t, gnutls_mac_get, 0, (session s), (s))
FORWARD(size_t, gnutls_mac_get_key_size, 0, (gnutls_mac_algorithm_t a), (a))
FORWARD(const char *, gnutls_mac_get_name, NULL, (gnutls_mac_algorithm_t a), (a))

// libxml2, of which libnbd wants addresses parsed alone.
HIDDEN void *xmlParseURI(const char *text);
void *xmlParseURI(const char *text) { return NULL; }
HIDDEN void *xmlSaveUri(void *address);
void *xmlSaveUri(void *address) { return NULL; }
HIDDEN void xmlFreeURI(void *address);
void xmlFreeURI(void *address) {}
HIDDEN char *xmlURIUnescapeString(const char *text, int size, char *target);
char *xmlURIUnescapeString(const char *text, int size, char *target) { return NULL; }

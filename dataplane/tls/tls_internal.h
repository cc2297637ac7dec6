#pragma once
/* One connection and the server around it. The connection is the stream that the inner handler holds.
 *
 * Lifetime: from the lower stream's `opened` to its `closed`. Each entry from outside runs between tls_connection_enter and
 * tls_connection_leave; a connection whose stream goes within is given back by the leave. OpenSSL calls back into the lower
 * stream's write alone, which calls nobody, so none of its calls is ever nested. Threads: one shard. */
#include "always_assert.h"
#include "pool.h"
#include "timer_wheel.h"
#include "tls_memory_internal.h"
#include "tls_server.h"
#include <openssl/ssl.h>

#define TLS_RECORD_HANDSHAKE 22u       /* RFC 8446 section 5.1 */
#define TLS_PLAINTEXT_BYTES_MAX 16384u /* RFC 8446 section 5.1 */
/* What a record adds, and a KeyUpdate that may go before it. */
#define TLS_RECORD_OVERHEAD_BYTES 64u
/* KeyUpdates of a peer (RFC 8446 section 4.6.3), then one a second: an honest one sends one in many gigabytes. */
#define TLS_KEY_UPDATES_AT_ONCE 16u
/* No smaller record is made while more is to be sent. */
#define TLS_RECORD_WORTH_BYTES 1024u

struct tls_identity {
  SSL_CTX *context;
  int64_t not_after_s;
  uint8_t sha256[32];
  bool asks_clients;
};

enum tls_phase {
  TLS_PHASE_FRESH,     /* no byte yet */
  TLS_PHASE_HANDSHAKE, /* `ssl` is there */
  TLS_PHASE_WAITING,   /* for its turn, in the server's queue; nothing is read */
  TLS_PHASE_OPEN,      /* the inner handler has it */
  TLS_PHASE_CLOSING,   /* close_notify waits for room */
  TLS_PHASE_CLOSED,    /* the lower stream is closed or about to; bytes are dropped */
  TLS_PHASE_GONE,      /* the lower stream is dead */
};

/* In one of the server's lists; alone: next is itself. */
struct tls_link {
  struct tls_link *next, *previous;
};

struct tls_listener {
  struct tls_server *server;
  const struct stream_handler *inner;
  struct stream_handler handler; /* what the network calls */
  uint32_t number;
};

struct tls_connection {
  struct stream_face face; /* first: what the inner handler holds */
  struct tls_server *server;
  struct tls_listener *listener;
  struct stream *lower;
  void *inner_state;
  SSL *ssl;
  struct tls_budget budget;
  enum tls_phase phase;
  uint16_t local_port;
  uint8_t depth;       /* of enter without leave */
  bool open;           /* counted as such */
  bool inner_open;     /* `closed` is owed to the inner handler */
  bool asks_client;    /* for a certificate, by its identity */
  bool hello_answered; /* the server's flight is made: next comes the client's */
  bool waits_for_key;  /* else for the check of the client's certificate */
  bool key_granted;    /* its turn for the private key has come */
  bool check_granted;  /* likewise for the check of the client's certificate */
  bool notified;       /* the peer's close_notify came */
  bool room_awaited;   /* the inner handler wants to know of room */
  bool offer_due;      /* it wants what it left */
  bool broken;         /* to be ended in the next step, for `end` */
  enum tls_end end;
  uint64_t waiting_ns;  /* since when */
  const uint8_t *input; /* what the lower stream offers, within `received` */
  uint32_t input_left;
  uint8_t *held; /* decrypted, not taken by the inner handler */
  uint32_t held_at, held_bytes;
  uint32_t updates_left; /* KeyUpdates that may come at once */
  uint64_t updates_ns;
  struct timer deadline;
  struct tls_link waiting, due;
  struct tls_connection *next, *previous; /* all connections */
};

struct tls_server {
  struct tls_config config;
  struct tls_listener listeners[TLS_LISTENERS_MAX];
  const struct tls_identities *identities;
  struct timer_wheel *timers;
  struct pool connections;
  BIO_METHOD *bio_method;
  struct tls_connection *all;
  struct tls_link waiting, due;
  uint64_t now_ns, wall_ns, stepped_ns;
  uint64_t turns_ns, turn_cost_ns; /* handshakes that may have their turn, in time; what one costs */
  struct tls_counters counters;
  uint8_t plaintext[TLS_PLAINTEXT_BYTES_MAX]; /* on its way from one record to the handler */
};

#define TLS_LINK_OWNER(link, member) ((struct tls_connection *)(void *)((char *)(link)-offsetof(struct tls_connection, member)))

static inline void tls_link_init(struct tls_link *link) { link->next = link->previous = link; }
static inline bool tls_link_alone(const struct tls_link *link) { return link->next == link; }
static inline void tls_link_remove(struct tls_link *link) {
  link->next->previous = link->previous;
  link->previous->next = link->next;
  tls_link_init(link);
}
static inline void tls_link_append(struct tls_link *list, struct tls_link *link) {
  link->previous = list->previous;
  link->next = list;
  list->previous->next = link;
  list->previous = link;
}

/* Around each of OpenSSL's calls for a connection. */
static inline void tls_use_memory(struct tls_connection *connection) {
  tls_memory_enter(connection->server->config.memory, &connection->budget);
}

/* tls_connection.c */
extern const struct stream_handler tls_connection_handler;
extern const struct stream_operations tls_connection_operations;
void tls_connection_enter(struct tls_connection *connection, uint64_t now_ns);
void tls_connection_leave(struct tls_connection *connection);
/* The deadline of the handshake. */
void tls_connection_deadline(struct timer *timer, void *context, uint64_t now_ns);
/* What the due list is for: an end that was put off, or an offer. */
void tls_connection_due(struct tls_connection *connection, uint64_t now_ns);
/* The handshake failed. `polite`: what OpenSSL wrote goes out before FIN; else RST. */
void tls_connection_fail(struct tls_connection *connection, enum tls_failure failure, bool polite, uint64_t now_ns);
/* An open connection ends on our side; the inner handler is told that it was reset. */
void tls_connection_break(struct tls_connection *connection, enum tls_end end, uint64_t now_ns);
/* The handshake is done: the inner handler gets its stream. */
void tls_connection_open(struct tls_connection *connection, uint64_t now_ns);

/* tls_handshake.c */
void tls_handshake_hooks(SSL_CTX *context);
bool tls_handshake_begin(struct tls_connection *connection);
/* As far as the input goes. True when there may be more to do with it. */
bool tls_handshake_drive(struct tls_connection *connection, uint64_t now_ns);
/* Its turn has come. */
void tls_handshake_turn(struct tls_connection *connection, uint64_t now_ns);

/* tls_record.c */
BIO_METHOD *tls_bio_method(void);
/* One record to the handler. True when the next may be tried. */
bool tls_record_receive(struct tls_connection *connection, uint64_t now_ns);
/* What the handler left. True when nothing is left. */
bool tls_record_offer(struct tls_connection *connection, uint64_t now_ns);
uint32_t tls_record_send(struct tls_connection *connection, const uint8_t *bytes, uint32_t length);
/* True when close_notify was written. */
bool tls_record_send_close(struct tls_connection *connection);
void tls_record_forget(struct tls_connection *connection);

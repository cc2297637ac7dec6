#pragma once
/* The running appliance: what main.c wires together. Written by the main thread before the shards start, then as marked. */
#include "appliance.h"
#include "config.h"
#include "cursor_reader.h"
#include "cursor_table.h"
#include "dpdk_port.h"
#include "log.h"
#include "management_server.h"
#include "remembered_ids.h"
#include <pthread.h>
#include <stdatomic.h>

struct daemon;

struct daemon_shard {
  struct daemon *daemon;
  struct shard *shard;
  pthread_t thread;
  uint16_t core;
  struct record_ring *records;
  /* The allocator's own count of what this thread took, by the thread itself; NULL before it runs. */
  _Atomic(const uint64_t *) allocated;
  uint64_t allocated_at_start; /* once it polls */
  struct shard_snapshot last;  /* what it told last; under snapshot_lock */
};

struct daemon_port {
  const struct config_port *config;
  struct dpdk_port *port;
  uint16_t first_shard, queues;
  struct driver_queue *impaired[SHARDS_MAX]; /* by queue; NULL: the port's own is used as it is */
  char veth_host[16], veth_appliance[16];    /* embedded: made by us */
};

struct daemon_match_counts {
  uint64_t *at_start; /* by match slot: what it held when its rule got it */
  uint32_t capacity;
  uint64_t gone[RULE_MODES]; /* matches of rules without a series of their own that are no more */
};

struct daemon_rules {
  struct rule_book *book;
  struct rule_image *image; /* by the thread that changes, one at a time, under lock */
  pthread_mutex_t lock;     /* what follows */
  uint64_t last_reload_wall_ns, last_reload_ns, reloads, reload_failures;
  bool last_reload_succeeded;
  struct daemon_match_counts matches;
};

struct daemon_certificates {
  pthread_mutex_t lock; /* all of this but the publication */
  bool memory_installed;
  struct tls_publication publication;
  struct tls_identities *set; /* NULL: no listener has TLS */
  uint64_t reloads, reload_failures;
  bool last_reload_succeeded;
};

/* checkpoint_service.c: signs the journal's hash chain now and then. */
struct daemon_signing {
  pthread_mutex_t lock; /* of the key */
  struct checkpoint_key *key;
  uint64_t written_ns, covered_lsn; /* keeper only */
  /* keeper:rw any:ro */
  _Atomic uint64_t checkpoints, signed_lsn, signed_wall_ns;
};

/* Looks after the journal: indexes it, snapshots its state, removes what the limits let go. */
struct daemon_keeper {
  pthread_t thread; /* 0: not started */
  uint64_t snapshot_not_before_ns;
  bool has_reserve, no_reserve; /* disk_reserve.c; no_reserve: this filesystem does not know how */
  int reserve_file;
  /* keeper:rw any:ro */
  _Atomic uint64_t snapshots, snapshot_lsn, snapshot_bytes, removed_segments, removed_bytes;
  _Atomic uint64_t segments, segment_bytes, oldest_lsn, held_segments, held_by_cursors, held_bytes, overtaken_segments;
  _Atomic bool no_snapshots; /* one would miss something */
  _Atomic bool indexing;     /* the log of earlier runs is not all in the index yet */
};

/* cursor_service.c. Both lock. */
struct daemon_cursors {
  struct cursor_table *table;
  struct cursor_readers *readers;
};

/* startup.c. Written by the main thread, but for the progress. */
struct daemon_start {
  _Atomic int phase; /* enum appliance_phase; main:rw any:ro */
  _Atomic(const char *) step;
  struct journal_progress progress; /* recovery:rw any:ro */
  _Atomic uint64_t recovery_began_ns, recovery_ended_ns;
  bool stopped;   /* by a signal */
  char told[256]; /* to systemd, last */
};

struct daemon {
  struct config config;
  char config_sha256[65];
  uint8_t node_id[16];
  uint64_t started_wall_ns;
  struct {
    uint32_t count;
    uint16_t shard_cores[SHARDS_MAX];
    int control, journal;
    bool shared; /* control and journal, or all, on one core */
  } cores;
  uint32_t shard_count;
  struct daemon_shard shards[SHARDS_MAX];
  uint32_t port_count;
  struct daemon_port ports[CONFIG_PORTS_MAX];
  struct image_publication publication;
  struct record_ring *control_records;
  pthread_mutex_t records_lock; /* its producer's end */

  struct journal_io *io;
  struct journal *journal;
  struct journal_recovery recovery;
  struct violation_store *violations;
  struct webhook_store *webhooks;
  struct remembered_ids *remembered;
  bool ids_lost; /* recovery found no memory for one: the start fails */
  struct daemon_cursors cursors;
  struct daemon_start start;
  struct daemon_keeper keeper;
  struct daemon_signing signing;

  struct daemon_rules rules;
  struct daemon_certificates certificates;
  pthread_mutex_t snapshot_lock;
  struct appliance appliance;
  struct management_server *management;
  pthread_t journal_thread;
  atomic_bool stop_shards, stop_journal, stop_keeper, journal_ended;
  atomic_bool draining;
  struct arena arena;
};

#define SHARD_COLUMN_CAPACITY 512u /* columns a kind of event may have; the compiler keeps to the same */

uint64_t monotonic_ns(void);
uint64_t wall_ns(void);

/* arena_mapped.c: start-up memory straight from the kernel; taken at once where `*prefault` says so, else when first used */
struct arena arena_mapped(bool *prefault);

/* cores.c */
int cores_choose(struct daemon *daemon); /* among those this process may run on */
int cores_choose_from(struct daemon *daemon, const uint16_t *allowed, uint32_t allowed_count);
int cores_pin(pthread_t thread, int core);

/* identity.c: the data directory, its lock, and the node id that is made once in it */
int identity_open(struct daemon *daemon);

/* ports.c */
int ports_start(struct daemon *daemon);
void ports_run(struct daemon *daemon);
void ports_stop(struct daemon *daemon);
/* A queue of a port as its shard is to use it; NULL when there is no memory. */
struct driver_queue *ports_queue(struct daemon *daemon, struct daemon_port *port, uint16_t queue);

/* shards.c */
int shards_create(struct daemon *daemon);
int shards_start(struct daemon *daemon);
bool shards_drain(struct daemon *daemon, uint64_t deadline_ns);
void shards_stop(struct daemon *daemon);

/* record_keeping.c: the journal and what recovery brings back */
int records_open(struct daemon *daemon);
int records_recover(struct daemon *daemon); /* on any thread; only what is marked for any may be looked at meanwhile */
int records_start(struct daemon *daemon);
/* Room for a control record, with records_lock, which publish gives back: one at a time. Waits while the journal is behind, as
 * long as neither it has failed nor `stopping` says so. NULL: none, and no lock. */
void *records_reserve(struct daemon *daemon, uint32_t bytes, bool (*stopping)(struct daemon *daemon));
uint64_t records_publish(struct daemon *daemon);
/* Until all up to there is durable: 0, -EIO, or -ETIMEDOUT after ten seconds. */
/* What failed, where, what is safe and what nobody knows yet, in one line. */
void records_describe_failure(const struct journal_failure *failure, uint64_t durable_lsn, char *text, size_t room);
/* Of all rings: given to the journal, and neither durable nor discarded. Any thread. */
uint64_t records_pending(const struct daemon *daemon);
int records_wait_durable(struct daemon *daemon, uint64_t position);
/* The same without that end, for what must be known either way: 0, -EIO, or -ECANCELED when the journal's thread has ended. */
int records_wait_settled(struct daemon *daemon, uint64_t position);
int records_flush(void *context, uint64_t *durable_lsn);
void records_stop_thread(struct daemon *daemon); /* after the last record is durable */
void records_close(struct daemon *daemon);

/* keeper.c */
int keeper_start(struct daemon *daemon);
void keeper_stop(struct daemon *daemon); /* before the journal thread */
/* For the keeper's thread: as records_reserve, until the keeper is to stop. */
void *keeper_reserve(struct daemon *daemon, uint32_t bytes);
uint64_t keeper_publish(struct daemon *daemon);
struct record_header keeper_header(uint16_t type, size_t bytes);

/* cursor_service.c */
int cursors_create(struct daemon *daemon);     /* before the journal is read */
void cursors_recovered(struct daemon *daemon); /* when it was */
void cursors_write(struct daemon *daemon);     /* what moved and is due; does not wait */
void cursors_stop(struct daemon *daemon);      /* all that moved, before the journal's thread ends */
void cursors_destroy(struct daemon *daemon);
/* Before segments below this LSN are removed: as cursor_table_let_go, and durable. */
int cursors_let_go(struct daemon *daemon, uint64_t oldest_lsn, bool overtake);
int cursors_read(void *context, uint64_t after_lsn, uint32_t limit, uint64_t wait_ns,
                 bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *each_context,
                 struct cursor_reading *reading);

/* disk_reserve.c: as much as a segment, when there are limits of retention and ample room */
void disk_reserve_keep(struct daemon *daemon);
void disk_reserve_give_up(struct daemon *daemon);

/* checkpoint_service.c */
int signing_start(struct daemon *daemon);
/* The key's file again: how keys are rotated. A bad one changes nothing. 0 or -EINVAL with `error`. */
int signing_reload(struct daemon *daemon, char *error, size_t room);
/* Writes a checkpoint when it is time. The keeper's thread. */
void signing_look_after(struct daemon *daemon);
/* Waits until all that was published is durable, and signs it, but for a journal that is in trouble. No shard runs any more. */
void signing_sign_all(struct daemon *daemon);
void signing_stop(struct daemon *daemon);

/* rule_service.c */
int rules_create(struct daemon *daemon); /* before the journal is read */
int rules_start(struct daemon *daemon);
int rules_change(void *context, const struct rule_request *request, struct rule_result *result);
void rules_reload(struct daemon *daemon);
void rules_view(struct daemon *daemon, struct appliance_rules *rules);
void rules_stop(struct daemon *daemon);

/* match_counts.c: before the image is published, and when every shard has it; `before` is not freed yet. */
void match_counts_begin(struct daemon *daemon, const struct rule_image *image);
void match_counts_end(struct daemon *daemon, const struct rule_image *before, const struct rule_image *after);
bool match_counts_read(void *context, const struct rule_definition *rule, uint64_t *matches, bool *own_series);
void match_counts_gone(void *context, uint64_t gone[RULE_MODES]);

/* certificate_service.c */
int certificates_start(struct daemon *daemon);
int certificates_reload(void *context, char *error, size_t room);
void certificates_view(struct daemon *daemon, struct appliance_snapshot *snapshot);
void certificates_stop(struct daemon *daemon);

/* crash_dump.c: what the flight recorders hold is written to data_dir when the process is about to die of a signal. */
int crash_dump_install(struct daemon *daemon); /* after shards_create */
/* The calling thread, which runs this shard, gets a stack for the handler. */
void crash_dump_thread(unsigned shard);

/* appliance_view.c */
void appliance_view_init(struct daemon *daemon);
void appliance_index_view(struct daemon *daemon, struct appliance_index *index);

/* startup.c */
void start_enter(struct daemon *daemon, enum appliance_phase phase, const char *step);
bool start_stopped(struct daemon *daemon); /* SIGTERM or SIGINT came; both are blocked until the start is over */
int start_recovery(struct daemon *daemon); /* records_recover, while signals and systemd are looked after; -ECANCELED: stopped */
bool start_view(void *context, struct appliance_start *start); /* see struct appliance */
void start_recovery_view(struct daemon *daemon, struct appliance_recovery *recovery);
/* Whether the journal itself is why: starting again changes nothing. */
bool start_journal_refused(const struct daemon *daemon, int error);
void start_failed(struct daemon *daemon, int error);
/* The unit's status line, when it changed; with READY=1 when all is up. */
void start_tell_systemd(struct daemon *daemon, bool ready);

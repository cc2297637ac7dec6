#pragma once
/* A journal on any disk with rings of numbered records, and what recovery gave back, for the journal's tests. */
#include "heap_arena.h"
#include "journal.h"
#include "journal_sim_io.h"

#define RIG_RINGS_MAX 3
#define RIG_SEGMENT_BYTES (128u * 1024u)
#define RIG_RECORD_BYTES_MAX 3000u

/* Its body follows from ring and number, so that a wrong byte is seen. */
struct rig_record {
  struct record_header header;
  uint32_t ring;
  uint32_t number; /* from 1, in the order of publishing */
};

struct journal_rig {
  struct journal_io *io;
  struct heap_arena *arena;
  struct journal_config config;
  struct journal *journal;
  struct journal_recovery recovery;
  int error;
  uint64_t now_ns, wall_ns;
  uint32_t ring_bytes;
  uint32_t published[RIG_RINGS_MAX]; /* numbers */
  uint32_t passed;                   /* records, of ring 0, that recovery has no need of */
  uint32_t recovered[RIG_RINGS_MAX]; /* the last number seen by the visitor */
  uint64_t recovered_records, last_lsn;
  bool recovered_badly; /* out of order, a gap, or a wrong byte */
};

/* Does not own `io`. No journal is open yet. */
void rig_init(struct journal_rig *rig, struct journal_io *io, uint32_t rings);
void rig_free(struct journal_rig *rig); /* closes the journal, too */
/* Fresh rings (numbers go on), then journal_open. 0 or -errno. */
int rig_open(struct journal_rig *rig);
void rig_close(struct journal_rig *rig);
/* The record's length follows from its number unless `bytes` says. False when the ring is full. */
bool rig_publish(struct journal_rig *rig, uint32_t ring, uint32_t bytes);
/* Reserves and fills in the record of that ring and number, for the caller to publish. False when the ring is full. */
bool rig_record_make(struct record_ring *ring, uint32_t index, uint32_t number, uint32_t bytes);
/* One step at the rig's time, which goes on by `elapsed_ns`. */
int rig_step(struct journal_rig *rig, uint64_t elapsed_ns);
/* Publishes `count` in ring 0 and drains: the records are durable. */
void rig_append(struct journal_rig *rig, uint32_t count, uint32_t bytes);
/* Whether the record is whole; fills in whose it is. */
bool rig_record_check(const struct record_header *header, uint32_t *ring, uint32_t *number);

/* All files of a simulated disk, to put damage on a copy again and again. */
struct disk_image {
  uint32_t count;
  struct {
    char name[JOURNAL_IO_NAME_BYTES];
    uint8_t *bytes;
    size_t length;
  } files[16];
};
void disk_image_take(struct disk_image *image, struct journal_io *sim);
/* Makes the disk as it was: other files go. */
void disk_image_restore(const struct disk_image *image, struct journal_io *sim);
void disk_image_free(struct disk_image *image);

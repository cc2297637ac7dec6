#pragma once
/* One shard's judge: evaluates batches, raises violations into the shard's record ring, sends trace digests to their owners, and
 * owns the traces whose id hashes to it.
 *
 * A request is a transaction: everything its batches raise is reserved, then engine_commit publishes it or engine_rollback
 * forgets it. Verdicts of traces (by digest or by time) are published as they are made; one that finds the record ring full
 * stays in the trace table and is tried again. Memory: from the arena. Threads: one shard. */
#include "arena.h"
#include "digest.h"
#include "histogram.h"
#include "image.h"
#include "record_ring.h"
#include "siphash.h"
#include "story_counters.h"
#include "trace_limits.h"
#include "uuid7.h"

/* A batch of 64 spans against 10,000 usual rules takes about 200,000. */
#define ENGINE_BATCH_STEPS_DEFAULT (16u << 20)

struct engine_config {
  uint16_t shard, shards;
  struct siphash_key trace_key; /* same on all shards: trace id to owner */
  struct uuid7_source uuids;
  struct record_ring *records;
  struct line_ring *digests_to[IMAGE_SHARDS_MAX]; /* producer ends, one a shard, own included */
  uint32_t column_capacity;                       /* columns a kind may have; an image with more is refused at load */
  uint32_t traces_max;                            /* live and remembered */
  uint32_t captures_max;                          /* spans whose values are kept for messages and attributes */
  uint32_t spills_max; /* 64 bytes each: selectors, verdicts and spans of traces beyond the few in place; 0: as captures_max */
  uint64_t idle_ns;    /* a trace is complete when no span has arrived for this long */
  struct trace_limits limits;
  uint64_t batch_steps_max;   /* of judging one batch, see rules_internal.h; 0: ENGINE_BATCH_STEPS_DEFAULT */
  uint32_t window_keys_max;   /* keys of window rules; 0: none is kept, and their digests are unplaced */
  uint32_t window_blocks_max; /* of WINDOW_BLOCK_BYTES, for what the windows of these keys hold */
  uint32_t story_lines;       /* 64 bytes each: spans of traces that rules compare with one another; 0: as captures_max */
  uint32_t story_steps_max;   /* of judging one trace by its spans; 0: STORY_STEPS_DEFAULT */
};

#define WINDOW_BLOCK_BYTES 512u

/* Why a window rule's key that fired was silent. */
enum window_silence {
  WINDOW_SILENCE_SUPPRESS, /* `suppress` */
  WINDOW_SILENCE_REPEAT,   /* `repeat_after` */
  WINDOW_SILENCE_WAITING,  /* its last verdict still waits for room in the record ring */
  WINDOW_SILENCES
};
const char *window_silence_name(enum window_silence silence);

enum trace_completion {
  TRACE_COMPLETE_IDLE,
  TRACE_COMPLETE_ROOT,
  TRACE_COMPLETE_AGE,
  TRACE_COMPLETE_SPANS,
  TRACE_COMPLETE_DRAINED,
  TRACE_COMPLETIONS
};
const char *trace_completion_name(unsigned completion);

/* Single writer: the shard. Conservation: spans_decoded (ingest) = spans_evaluated + rejected + in batch; digests_sent = applied
 * + waiting, summed over shards; traces_opened = completed + evicted + live; violations_emitted counts published records. */
struct engine_counters {
  uint64_t events_evaluated[EVENT_KINDS]; /* committed */
  uint64_t events_rolled_back[EVENT_KINDS];
  uint64_t violations_emitted, violations_rolled_back;
  uint64_t violations_retried; /* a trace verdict that found the ring full and waits */
  uint64_t digests_sent, digests_applied, digests_no_room;
  uint64_t records_no_room;
  uint64_t traces_opened, traces_completed[TRACE_COMPLETIONS], traces_evicted, spans_late;
  uint64_t captures_exhausted, digests_unplaced;
  uint64_t batches_over_steps;
  uint64_t programs_unjudged;              /* rules and selectors that such a batch was not asked about */
  uint64_t elements_unjudged;              /* values of body paths with `[*]` beyond those that are kept */
  uint64_t spills_exhausted;               /* what a trace met, or that it was judged, could not be kept */
  uint64_t verdicts_withheld;              /* of traces of which that is so, or that a batch over its steps was about */
  uint64_t verdicts_lost;                  /* the record ring was full, and that they are due could not be kept */
  struct histogram late_ns;                /* of late spans: since their trace was complete */
  uint64_t trace_rules_skipped;            /* verdicts not given because a rule is younger than the trace */
  uint32_t traces_live, traces_remembered; /* gauges */
  /* Window keys: opened = expired + evicted + dropped + live. Their digests are among digests_sent and digests_applied. */
  uint64_t window_digests_sent, window_events; /* events: those in the digests that were applied */
  uint64_t window_keys_opened, window_keys_expired, window_keys_evicted;
  uint64_t window_keys_dropped;                    /* the rule went or changed; the shard drained */
  uint64_t window_digests_unplaced;                /* no key could be had */
  uint64_t window_digests_stale;                   /* of a rule that is no more */
  uint64_t window_events_unplaced;                 /* no block could be had for what they add */
  uint64_t window_values_merged;                   /* of a key whose values are spread too far for its histogram */
  uint64_t window_events_late;                     /* they came when their window had passed */
  uint64_t window_suppressed[WINDOW_SILENCES];     /* violations that were not raised */
  uint64_t window_events_cut;                      /* retried verdicts that lost their event for want of a block */
  uint32_t window_keys_live, window_blocks_in_use; /* gauges */
  struct story_counters story;
};

struct engine;

struct engine *engine_create(struct arena *arena, const struct engine_config *config, uint64_t now_ns);
/* The image is within what an engine of this capacity can evaluate, and every index in it leads where it should; control asks
 * before it publishes. Threads: any. */
bool engine_image_fits(const struct rule_image *image, uint32_t column_capacity);
/* Adopts an image (same or newer generation). Called between requests only. NULL image: no rules yet. */
void engine_adopt(struct engine *engine, const struct rule_image *image);
/* The generation the shard now evaluates; 0 before the first image. Control frees older images when all shards are past. */
uint64_t engine_generation(const struct engine *engine);

/* The batch of a kind, empty, bound to the current image. One of each kind exists. */
struct event_batch *engine_batch(struct engine *engine, enum event_kind kind);
/* Evaluates and empties. False: no room in a ring; the caller stops and rolls back. `why_full` tells whether it could ever fit.
 */
bool engine_evaluate(struct engine *engine, struct event_batch *batch, uint64_t now_ns, uint64_t wall_ns);
enum engine_room { ENGINE_ROOM_OK, ENGINE_ROOM_FULL_NOW, ENGINE_ROOM_NEVER };
enum engine_room engine_room(const struct engine *engine);
/* Publishes what the request raised. Returns the record ring position to wait for (durable acknowledgement); records appended
 * by the caller to the same ring since the last commit are published with it. */
uint64_t engine_commit(struct engine *engine);
/* What the rules said of the request so far. */
#define ENGINE_RAISED_IDS 16u
struct engine_verdict {
  uint64_t generation; /* 0: there are no rules */
  uint32_t violations, shadow_matches, window_matches;
  bool partial; /* some rules were left unasked */
  uint32_t raised_id_count;
  const uint8_t (*raised_ids)[16]; /* of the first violations, until the request ends */
};
struct engine_verdict engine_verdict(const struct engine *engine);
/* Violations of webhooks and alerts that this request raises from now on name it. */
void engine_set_correlation(struct engine *engine, const uint8_t correlation_id[16]);
/* Whether a record of the caller could ever stand in the ring beside what the request has raised. */
bool engine_could_hold(const struct engine *engine, uint32_t record_bytes);
void engine_rollback(struct engine *engine);

/* Digests that will be applied soon: of the far one the place in the table's index is fetched into the cache, of the near one,
 * which was far before, the trace. Rolling, so that misses are spread evenly. */
#define ENGINE_NEAR_DIGESTS 8u /* ahead */
#define ENGINE_FAR_DIGESTS 16u
void engine_expect_digest(struct engine *engine, const struct span_digest *near, const struct span_digest *far);
/* A LINE_SPAN_DIGEST that arrived from any shard. False: its verdict found no room; it is kept, do not resend. */
void engine_apply_digest(struct engine *engine, const struct span_digest *digest, uint64_t now_ns, uint64_t wall_ns);
/* A LINE_WINDOW_DIGEST, likewise. */
void engine_apply_window(struct engine *engine, const struct window_digest *digest, uint64_t now_ns, uint64_t wall_ns);
/* Completes idle traces and retries waiting verdicts; at most `most` traces a call. Returns how many were looked at. */
uint32_t engine_expire(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most);
/* Ends every live trace: `never` stands, `always` is not judged. At most `most` a call; returns live traces left. */
uint32_t engine_drain(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most);
const struct engine_counters *engine_counters(const struct engine *engine);
/* Matches of the rule with this image_rule.match_slot: of single events those that were committed, of traces the verdicts. Never
 * falls, never starts anew: control remembers what a slot held when a rule got it. Threads: any. */
uint64_t engine_rule_matches(const struct engine *engine, uint32_t match_slot);

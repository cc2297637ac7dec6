#pragma once
/* A TCP connection and what the files about it share. Names of sequence variables are RFC 9293 section 3.3.1's.
 * Memory: one `struct stream` from the network's pool; blocks only while bytes are held. Threads: one shard. */
#include "network_internal.h"
#include "sequence.h"

#define NANOSECONDS_PER_MICROSECOND 1000u
#define TCP_RTO_INITIAL_US 1000000u        /* RFC 6298 section 2.1 */
#define TCP_RTO_AFTER_LOST_SYN_US 3000000u /* RFC 6298 section 5.7 */
#define TCP_RTO_MIN_US 200000u
#define TCP_RTO_MAX_US 60000000u
/* Karn: a backed-off RTO stays until there is a sample; but once bytes get through only this much of it, or a path that loses
 * often would crawl at the largest RTO. */
#define TCP_BACKOFF_KEPT_MAX 2u
#define TCP_RETRANSMITS_MAX 9u           /* at the smallest RTO 162 s: beyond R2 of RFC 9293 section 3.8.3 */
#define TCP_HANDSHAKE_RETRANSMITS_MAX 4u /* 31 s */
#define TCP_FIN_WAIT_2_NS (60ull * 1000000000)
#define TCP_MSS_DEFAULT 536u /* RFC 9293 section 3.7.1, when the peer names none */
#define TCP_MSS_MIN 64u      /* a smaller one is read as this: a segment must be worth its header */
#define TCP_WINDOW_SHIFT_MAX 14u
#define TCP_CHALLENGES_PER_SECOND 8u
#define TCP_TIMESTAMP_BYTES 12u                                 /* the option with its two NOPs, on every segment but RST */
#define TCP_TIMESTAMP_TICK_NS 1000000u                          /* RFC 7323 section 5.4: between 1 ms and 1 s */
#define TCP_TIMESTAMP_STALE_NS (24ull * 24 * 3600 * 1000000000) /* RFC 7323 section 5.5 */
#define TCP_SACK_BLOCKS_MAX 3u                                  /* RFC 2018 section 3: what fits beside timestamps */
#define TCP_SCOREBOARD_RANGES 4u                                /* a peer's option names four at most */
#define TCP_ACTIVITY_SHIFT 20                                   /* activity ticks of 2^20 ns: a wrap takes 52 days */

enum tcp_state {
  TCP_CLOSED,
  TCP_SYN_RECEIVED,
  TCP_ESTABLISHED,
  TCP_CLOSE_WAIT,
  TCP_FIN_WAIT_1,
  TCP_FIN_WAIT_2,
  TCP_CLOSING,
  TCP_LAST_ACK,
  TCP_TIME_WAIT,
};

enum stream_flag {
  STREAM_ACK_DUE = 1 << 0,
  STREAM_CLOSE_CALLED = 1 << 1, /* FIN follows the queue; arriving bytes are discarded */
  STREAM_FIN_ACKED = 1 << 2,
  STREAM_PEER_FIN_SEEN = 1 << 3,  /* peer_fin is valid */
  STREAM_PEER_FIN_TAKEN = 1 << 4, /* rcv_nxt is beyond it */
  STREAM_PEER_FIN_TOLD = 1 << 5,
  STREAM_OFFER_DUE = 1 << 6,
  STREAM_WRITE_CUT = 1 << 7, /* `writable` is owed */
  STREAM_RTT_TIMING = 1 << 8,
  STREAM_RECOVERY = 1 << 9, /* RFC 6582 fast recovery up to `recover` */
  STREAM_PERSIST = 1 << 10, /* the retransmit deadline is a window probe's */
  STREAM_PEER_SCALES = 1 << 11,
  STREAM_OPENED = 1 << 12, /* the handler has state: `closed` is owed */
  STREAM_SYN_RESENT = 1 << 13,
  STREAM_HELD = 1 << 14,       /* in the network's `held`, or was when the pause ended */
  STREAM_TIMESTAMPS = 1 << 15, /* RFC 7323: both SYNs carried the option */
  STREAM_SACK = 1 << 16,       /* RFC 2018: both SYNs permitted it */
  STREAM_EARLY = 1 << 17,      /* `early` holds something */
  STREAM_SACKED = 1 << 18,     /* `sacked` holds something */
  STREAM_CHARGED = 1 << 30,    /* to its address */
};

struct send_block;
struct receive_block;

/* Which connection a segment belongs to. Hashed and compared as bytes: no padding. */
struct stream_key {
  struct ip_address peer;
  uint16_t peer_port, local_port; /* host order */
  uint16_t vlan;                  /* 0: no tag */
  uint8_t local;                  /* index of our address */
  uint8_t zero;
};

_Static_assert(sizeof(struct stream_key) == 24, "no padding");

struct sequence_range {
  uint32_t start, end; /* end exclusive; equal: empty */
};

struct stream {
  union {
    struct stream_face face;
    struct network *network; /* begins with the operations that the face points to */
  };
  struct stream_key key;
  struct stream *hash_next;
  void *handler_state;
  uint64_t retransmit_deadline_ns; /* also persist, FIN-WAIT-2 and TIME-WAIT; 0: none */

  uint32_t rcv_nxt, rcv_adv; /* next expected; right edge of the window ever advertised */
  uint32_t delivered;        /* next byte that the handler has not taken */
  uint32_t receive_origin;   /* sequence number of the first receive block's first byte */
  struct receive_block *receive_head, *receive_tail;
  uint32_t flags;
  uint32_t activity_tick;

  uint32_t snd_una, snd_nxt, snd_max, snd_wnd;
  /* SND.WL2 is never beyond snd_una, and older ACKs are turned away before, so it need not be kept. */
  uint32_t snd_wl1, snd_wnd_max, send_queued; /* send_queued: bytes from snd_una on that the send blocks hold */
  uint32_t heard_tick;                        /* like activity_tick, but of anything at all from the peer */
  struct send_block *send_head, *send_tail;
  uint16_t send_head_offset, send_tail_used;
  uint16_t mss; /* what we may send */
  uint8_t state, listener;
  uint8_t send_shift, receive_shift, duplicate_acks, backoff;
  uint8_t retransmits, challenges;
  uint8_t peer_mac[6];

  uint32_t peer_fin; /* sequence number of the peer's FIN */
  uint32_t cwnd, ssthresh, recover;
  uint32_t srtt_us, rttvar_us, rto_us;
  /* With timestamps each ACK is timed by its echo, so nothing else need be remembered of a round trip. */
  union {
    struct {
      uint32_t rtt_seq, rtt_start_us;
    };
    struct {
      uint32_t timestamp_offset, timestamp_recent; /* added to our clock; the peer's value that we echo */
    };
  };
  uint32_t challenge_second, last_ack_sent;

  uint32_t resent;                                  /* RFC 6675 HighRxt: what is lost before it was sent again */
  uint8_t keep_alives;                              /* sent since the peer was heard */
  struct sequence_range early[TCP_SACK_BLOCKS_MAX]; /* held beyond rcv_nxt, the latest first; empty ones are last */
  struct timer timer;                               /* armed at or before the earliest deadline; moved on when it fires */
  struct link pending;
  union {
    struct link age;                                     /* in SYN-RECEIVED and TIME-WAIT: none of our bytes is in flight */
    struct sequence_range sacked[TCP_SCOREBOARD_RANGES]; /* else: ascending, not touching, the lowest that fit */
  };
};

_Static_assert(sizeof(struct stream) <= 320, "a million connections are 320 MB");

struct tcp_options {
  uint16_t mss; /* 0: not present */
  bool scales, timestamps, sack_permitted;
  uint8_t shift;
  uint8_t sack_count;
  uint32_t timestamp, timestamp_echo;
  const uint8_t *sack; /* `sack_count` blocks of 8 bytes, in the frame */
};

struct segment {
  const uint8_t *peer_mac;
  struct stream_key key;
  uint32_t seq, ack;
  const uint8_t *bytes;
  uint32_t length;
  uint16_t window; /* unscaled */
  uint8_t flags;
  struct tcp_options options;
};

static inline bool stream_key_equal(const struct stream_key *a, const struct stream_key *b) {
  return memcmp(a, b, sizeof *a) == 0;
}
/* Where the TCP header of a frame to the peer begins. */
static inline uint32_t tcp_offset(const struct stream_key *key) { return frame_l4_offset(&key->peer, key->vlan); }
/* From the MTU: what we announce and the most we send. */
static inline uint16_t tcp_mss_limit(const struct network *network, const struct stream_key *key) {
  return (uint16_t)(network->config.mtu - ip_header_bytes(&key->peer) - TCP_HEADER_BYTES);
}

static inline const struct stream_handler *stream_handler(const struct stream *stream) {
  return stream->network->config.tcp_listeners[stream->listener].handler;
}
/* Length in sequence space. */
static inline uint32_t segment_span(const struct segment *segment) {
  return segment->length + (segment->flags & TCP_SYN ? 1 : 0) + (segment->flags & TCP_FIN ? 1 : 0);
}
static inline uint32_t now_us(const struct network *network) { return (uint32_t)(network->now_ns / NANOSECONDS_PER_MICROSECOND); }
static inline uint64_t rto_ns(const struct stream *stream) {
  const uint64_t us = (uint64_t)stream->rto_us << (stream->backoff < 16 ? stream->backoff : 16);
  return (us < TCP_RTO_MAX_US ? us : TCP_RTO_MAX_US) * NANOSECONDS_PER_MICROSECOND;
}
static inline uint32_t activity_now(const struct network *network) { return (uint32_t)(network->now_ns >> TCP_ACTIVITY_SHIFT); }
static inline void stream_touch(struct stream *stream) { stream->activity_tick = activity_now(stream->network); }
/* The peer was heard. What only answers a probe of ours, for a shut window or for life, is not activity. */
static inline void stream_heard(struct stream *stream, bool brings) {
  stream->heard_tick = activity_now(stream->network);
  if (brings || !((stream->flags & STREAM_PERSIST) || stream->keep_alives)) stream->activity_tick = stream->heard_tick;
  stream->keep_alives = 0;
}
/* Makes sure that the next flush looks at the stream. */
static inline void stream_pend(struct stream *stream) {
  if (!link_alone(&stream->pending)) {
    if (!(stream->flags & STREAM_HELD)) return;
    link_remove(&stream->pending);
  }
  stream->flags &= ~(uint32_t)STREAM_HELD;
  link_append(&stream->network->pending, &stream->pending);
}
/* Whether new bytes must wait. What a closed stream gets is discarded, so it need not. */
static inline bool stream_paused(const struct stream *stream) {
  return stream->network->paused && !(stream->flags & STREAM_CLOSE_CALLED);
}
/* The sequence number of a segment without data: what a peer that has all, or a peer with a shut window, expects. */
static inline uint32_t stream_control_seq(const struct stream *stream) {
  return stream->flags & STREAM_PERSIST ? stream->snd_nxt : stream->snd_max;
}
/* In-order bytes that the handler has not taken. */
static inline uint32_t stream_held_bytes(const struct stream *stream) {
  return stream->rcv_nxt - stream->delivered - (stream->flags & STREAM_PEER_FIN_TAKEN ? 1 : 0);
}

/* stream.c */
extern const struct stream_operations tcp_stream_operations;

/* tcp_table.c */
bool tcp_tables_create(struct network *network, struct arena *arena);
struct stream **tcp_bucket(struct network *network, const struct stream_key *key);
struct stream *tcp_find(struct network *network, const struct stream_key *key);
/* A stream in the table, zeroed but for its identity; NULL when all are in use. */
struct stream *tcp_open(struct network *network, const struct stream_key *key);
/* Out of the table, its blocks given back, then `closed` if it is owed. The memory stays until tcp_reap. */
void tcp_end(struct stream *stream, enum stream_end end);
void tcp_reap(struct network *network);

/* tcp_admission.c: who may have a connection, and whose it is. */
/* Asked of a SYN before anything is kept of it; answered or counted when not. */
bool tcp_admits(struct network *network, const struct segment *segment, uint32_t listener);
/* A stream begins, half open. False: its address may have no more. */
bool tcp_admission_begin(struct stream *stream);
void tcp_admission_established(struct stream *stream);
/* It ends, or only TIME-WAIT is left of it. */
void tcp_admission_end(struct stream *stream);

/* tcp_options.c: strict and bounded; false when any option is malformed. */
bool tcp_options_parse(const uint8_t *bytes, uint32_t length, struct tcp_options *options);

/* tcp_timestamp.c: RFC 7323 sections 3 to 5. */
/* Takes up the option of a SYN. */
void tcp_timestamp_negotiate(struct stream *stream, const struct segment *segment);
uint32_t tcp_timestamp_clock(const struct stream *stream);
void tcp_timestamp_write(const struct stream *stream, uint8_t *option);
/* Whether the segment may go on; answered or counted when not. Not for SYN and RST. */
bool tcp_timestamp_acceptable(struct stream *stream, const struct segment *segment);
/* Remembers what to echo; the segment has passed every other check. */
void tcp_timestamp_remember(struct stream *stream, const struct segment *segment);
/* The round trip that an ACK of something new shows. */
void tcp_timestamp_sample(struct stream *stream, const struct segment *segment);

/* tcp_sack.c: RFC 2018, what we tell the peer. */
/* Bytes beyond a hole were kept. */
void tcp_sack_remember(struct stream *stream, uint32_t seq, uint32_t length);
/* rcv_nxt moved on while STREAM_EARLY stands; each time, or what is told would come round in sequence space. */
void tcp_sack_trim(struct stream *stream);
/* Bytes from `seq` on were given up again. */
void tcp_sack_forget_from(struct stream *stream, uint32_t seq);
/* Writes the option with its two NOPs; returns its bytes, 0 when there is nothing to tell. */
uint8_t tcp_sack_write(struct stream *stream, uint8_t option[4 + 8 * TCP_SACK_BLOCKS_MAX]);

/* tcp_scoreboard.c: RFC 2018 and RFC 6675, what the peer tells us. */
/* A part of what was sent and how to see it again. */
struct lost_segment {
  uint32_t seq, length; /* length without FIN */
  bool fin;
  uint32_t pipe; /* bytes that are taken to be in the network */
};
/* Takes up the segment's blocks; true when one of them said something new. */
bool scoreboard_take(struct stream *stream, const struct segment *segment);
/* Drops what lies before snd_una. */
void scoreboard_trim(struct stream *stream);
void scoreboard_forget(struct stream *stream);
/* Bytes before `seq` that the peer has. */
uint32_t scoreboard_below(const struct stream *stream, uint32_t seq);
/* Moves `seq` behind what the peer has there, and cuts `length` before what it has next. */
uint32_t scoreboard_skip(const struct stream *stream, uint32_t seq, uint32_t *length);
/* RFC 6675 IsLost of the first byte that is not acknowledged. */
bool scoreboard_first_lost(const struct stream *stream);
/* The next lost segment of a recovery that was not sent again yet; nothing when neither length nor fin is set. */
struct lost_segment scoreboard_next_lost(const struct stream *stream);

/* tcp_cookie.c: RFC 4987 SYN cookies. */
/* Answers a SYN for a stream that exists for this call only. */
void tcp_cookie_send(struct stream *stream, const struct segment *syn);
/* Whether one was sent of late: only then is an ACK out of the blue worth a hash. */
bool tcp_cookies_expected(const struct network *network);
/* Whether the segment acknowledges a cookie of ours; then `syn` is the SYN as far as the cookie remembers it. */
bool tcp_cookie_take(struct network *network, const struct segment *segment, struct segment *syn);
/* The window of every cookie's SYN-ACK: the same when the ACK comes, so that nothing promised is taken back. */
uint32_t tcp_cookie_window(const struct network *network, const struct stream_key *key);

/* tcp_handshake.c */
/* Whether a new connection must do without memory until it has proven itself. */
static inline bool tcp_half_open_full(const struct network *network) {
  return network->counters.tcp_half_open >= network->config.half_open_max;
}
/* A segment that belongs to no connection. A stream when it is the ACK of a cookie: in SYN-RECEIVED, and the segment goes on. */
struct stream *tcp_listen(struct network *network, const struct segment *segment, uint32_t after_seq, bool reuse);
/* True when the stream is established now and the segment goes on. */
bool tcp_handshake_continue(struct stream *stream, const struct segment *segment);
void tcp_handshake_timeout(struct stream *stream);

/* tcp_input.c */
void tcp_input(struct network *network, const struct segment *segment);

/* tcp_acknowledge.c: the ACK field. False when the segment must go no further or the stream has ended. */
bool tcp_acknowledge(struct stream *stream, const struct segment *segment);
void tcp_round_trip_sample(struct stream *stream, uint32_t sample_us);
/* Sends the first unacknowledged segment again; returns its length in sequence space, 0 when there was no buffer. */
uint32_t tcp_retransmit_first(struct stream *stream);
static inline bool stream_recovers_by_sack(const struct stream *stream) {
  return (stream->flags & (STREAM_RECOVERY | STREAM_SACK)) == (STREAM_RECOVERY | STREAM_SACK);
}

/* tcp_deliver.c: bytes and FIN of an acceptable segment, trimmed at rcv_nxt. */
void tcp_accept_bytes(struct stream *stream, uint32_t seq, const uint8_t *bytes, uint32_t length, bool fin);
/* Offers what is held to the handler; tells of the peer's FIN when all is taken. */
void tcp_deliver(struct stream *stream);

/* tcp_reassembly.c */
#define RECEIVE_BLOCK_BYTES 2048u
uint32_t reassembly_block_capacity(void);
/* Copies bytes at `seq` (at or after rcv_nxt); returns how many from the start were kept. */
uint32_t reassembly_store(struct stream *stream, uint32_t seq, const uint8_t *bytes, uint32_t length);
/* How far contiguous bytes reach from `seq`. */
uint32_t reassembly_contiguous(const struct stream *stream, uint32_t seq);
/* The run of held bytes at `delivered`, up to `most`; its length is at least 1. */
const uint8_t *reassembly_run(const struct stream *stream, uint32_t most, uint32_t *length);
/* Gives back the blocks before `delivered`. */
void reassembly_consumed(struct stream *stream);
void reassembly_discard(struct stream *stream);

/* tcp_send_queue.c */
#define SEND_BLOCK_BYTES 2048u
uint32_t send_queue_room(const struct stream *stream);
uint32_t send_queue_append(struct stream *stream, const uint8_t *bytes, uint32_t length);
/* Copies `length` bytes at `offset` from snd_una. */
void send_queue_copy(const struct stream *stream, uint32_t offset, uint8_t *to, uint32_t length);
void send_queue_release(struct stream *stream, uint32_t length);
void send_queue_discard(struct stream *stream);

/* tcp_output.c */
/* Sends what the windows allow, then a due ACK. */
void tcp_output(struct stream *stream);
/* One segment of `length` bytes at `seq`; false when there was no buffer. */
bool tcp_send_segment(struct stream *stream, uint32_t seq, uint32_t length, uint8_t flags);
/* The largest the next segment may promise; moves rcv_adv when it is sent. */
uint32_t tcp_window(const struct stream *stream);
/* A right edge that the peer should hear of (RFC 1122 section 4.2.3.3). */
bool tcp_window_update_due(const struct stream *stream);
void tcp_flush(struct network *network);

/* tcp_control.c: segments without data. */
void tcp_send_ack(struct stream *stream);
void tcp_send_challenge(struct stream *stream);
bool tcp_challenge_allowed(struct stream *stream);
bool tcp_send_syn_ack(struct stream *stream);
void tcp_send_reset(struct stream *stream);
/* The answer to a segment that belongs to no connection (RFC 9293 section 3.10.7.1). */
void tcp_refuse(struct network *network, const struct segment *segment);
/* Fills the headers of `frame` around the payload already there, then commits it. */
struct tcp_header {
  const struct stream_key *key;
  const uint8_t *peer_mac;
  uint32_t seq, ack;
  uint16_t window;
  uint8_t flags;
  uint8_t options_bytes; /* already written after the header */
};
void tcp_frame_commit(struct network *network, uint8_t *frame, const struct tcp_header *header, uint32_t payload_bytes);

/* tcp_path_mtu.c: a segment of ours at `seq` met a link of `mtu`. False when it was none in flight, or changes nothing. */
bool tcp_too_big(struct network *network, const struct stream_key *key, uint32_t seq, uint32_t mtu);

/* tcp_timer.c */
void tcp_timer_fire(struct timer *timer, void *context, uint64_t now_ns);
/* Sets the retransmit deadline and sees that the timer is armed for it. */
void tcp_set_deadline(struct stream *stream, uint64_t deadline_ns);
/* Arms the timer for the earliest deadline. */
void tcp_arm(struct stream *stream);

/* tcp_close.c */
void tcp_peer_finished(struct stream *stream);
void tcp_fin_acknowledged(struct stream *stream);
void tcp_time_wait_input(struct stream *stream, const struct segment *segment);

#pragma once
/* The load generator's side of a connection: a client's TCP that is fast where requests are small and many, go-back-N where
 * something is lost. Requests are pipelined: each lies with its answer in a slot, which the connection holds meanwhile.
 * Threads: one. */
#include "driver.h"
#include "segment.h"

#define LOAD_ANSWER_BYTES 1024u

enum load_tcp_state { LOAD_TCP_CLOSED, LOAD_TCP_OPENING, LOAD_TCP_OPEN, LOAD_TCP_CLOSING };

/* A request in progress: `bytes` go out again and again until acknowledged. */
struct load_slot {
  uint8_t *bytes;
  uint32_t length;
  uint32_t answer_bytes, answer_wanted; /* wanted: 0 until its head is there */
  uint16_t answer_status;
  uint64_t started_ns, number;
  struct load_tcp *tcp;   /* NULL: free */
  struct load_slot *next; /* posted after it; of those that were answered together */
  uint32_t begin;         /* sequence number of its first byte */
  char answer[LOAD_ANSWER_BYTES];
};

struct load_tcp {
  struct segment_ends ends;
  uint8_t state;
  uint8_t window_shift;
  bool acknowledge_due, acknowledge_late; /* late: it was due at the last look */
  uint16_t duplicates;
  uint32_t unacknowledged, next, furthest, posted; /* sequence numbers; posted: behind the last request */
  uint32_t expected, window, timestamp_recent;
  struct load_slot *first, *last; /* requests without their whole answer, in order */
  uint64_t timer_ns;              /* when something that waits for an answer is sent again */
};

/* What all connections share. */
struct load_wire {
  struct driver_queue *queue;
  uint16_t mtu;
  uint64_t now_ns;
  uint64_t segments_sent, retransmits, resets, no_frame;
};

void load_tcp_open(struct load_wire *wire, struct load_tcp *tcp, uint32_t initial);
/* Posts the slot's request behind those in progress; the connection is open. */
void load_tcp_post(struct load_wire *wire, struct load_tcp *tcp, struct load_slot *slot);
void load_tcp_close(struct load_wire *wire, struct load_tcp *tcp);
/* A frame for the connection. Returns the slots that it completed, which the connection has left. */
struct load_slot *load_tcp_receive(struct load_wire *wire, struct load_tcp *tcp, const struct driver_frame *frame);
/* Sends what the window lets out, and what was lost. */
void load_tcp_step(struct load_wire *wire, struct load_tcp *tcp);
/* A look at an idle connection, each time the delay of ACKs has passed: one that the next request has not carried goes alone. */
void load_tcp_look(struct load_wire *wire, struct load_tcp *tcp);

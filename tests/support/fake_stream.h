#pragma once
/* The byte-stream face without a network: bytes go in by hand, what was written is kept, room for writing can be taken away. */
#include "stream.h"
#include <stddef.h>

#define FAKE_STREAM_PEER_IPV4 0x0a560001u

struct stream {
  struct stream_face face;
  const struct stream_handler *handler;
  void *state;
  uint8_t *held; /* offered and not taken */
  size_t held_bytes;
  uint8_t *sent;
  size_t sent_bytes;
  uint32_t room; /* how much may still be written */
  bool guarded;  /* each offer ends at an inaccessible page */
  bool write_cut, resume_due, peer_fin, peer_fin_told;
  bool close_called, gone;
  enum stream_end end;
};

/* NULL when the handler refused it. Unlimited room. */
struct stream *fake_stream_open(const struct stream_handler *handler, uint16_t local_port, uint64_t now_ns);
void fake_stream_deliver(struct stream *stream, const void *bytes, size_t length, uint64_t now_ns);
/* What the stack does at the end of a step: offers again where asked, then tells the peer's FIN. */
void fake_stream_step(struct stream *stream, uint64_t now_ns);
void fake_stream_finish(struct stream *stream, uint64_t now_ns);
/* The connection ends for a reason of the network's. */
void fake_stream_end(struct stream *stream, enum stream_end end, uint64_t now_ns);
/* Sets the room; tells the handler when a write had been cut short. */
void fake_stream_set_room(struct stream *stream, uint32_t room, uint64_t now_ns);
/* Ends it first when it is still open. */
void fake_stream_free(struct stream *stream, uint64_t now_ns);

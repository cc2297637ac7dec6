#pragma once
/* A server over fake streams, with an application that writes down what it was given. After each step the conservation law is
 * checked; a breach aborts the program. */
#include "fake_stream.h"
#include "heap_arena.h"
#include "http_server.h"

#define FIXTURE_PARKED_MAX 64
#define FIXTURE_SECOND_NS UINT64_C(1000000000)

/* Paths: /park parks; /fail is refused with 401 by admission; /close answers with close; /empty answers 204; /large answers with
 * the largest body; anything else answers 200 with the body's length and checksum. */
struct http_fixture {
  struct heap_arena *heap;
  struct http_server *server;
  const struct stream_handler *handler;
  struct http_config config;
  struct http_application application;
  uint64_t now_ns;
  uint32_t max_body_bytes;
  struct http_exchange *parked[FIXTURE_PARKED_MAX];
  unsigned parked_count, aborted_count, admitted, handled;
  bool answer_parked_in_handle; /* `handle` first answers all that is parked */
  char *log;                    /* one line for each request handled */
  size_t log_bytes;
};

/* Body pools of 256 B x 4, 4 KiB x 3, 64 KiB x 2, 1 MiB x 1; limit 512 KiB. Change `config` before fixture_start. */
void fixture_prepare(struct http_fixture *fixture);
void fixture_start(struct http_fixture *fixture);
void fixture_end(struct http_fixture *fixture);

struct stream *fixture_open(struct http_fixture *fixture);
void fixture_send(struct http_fixture *fixture, struct stream *stream, const void *bytes, size_t length);
void fixture_say(struct http_fixture *fixture, struct stream *stream, const char *text);
void fixture_finish(struct http_fixture *fixture, struct stream *stream);
void fixture_room(struct http_fixture *fixture, struct stream *stream, uint32_t room);
/* Time passes in at most 64 steps of at least 10 ms. */
void fixture_wait(struct http_fixture *fixture, uint64_t nanoseconds);
/* Answers the oldest parked exchange with 200. */
void fixture_answer_parked(struct http_fixture *fixture, struct stream *stream);
void fixture_check(const struct http_fixture *fixture);

struct fixture_answer {
  unsigned status;
  char header[1200]; /* status line and fields, NUL-terminated */
  const uint8_t *body;
  size_t body_bytes;
};

/* The answers written to the stream, interim ones too. Aborts when what was written is no sequence of answers; the last may be
 * incomplete and is then left out. */
unsigned fixture_answers(const struct stream *stream, struct fixture_answer *answers, unsigned most);
/* The status of the only answer; 0 when there is none or more than one. */
unsigned fixture_only_status(const struct stream *stream);

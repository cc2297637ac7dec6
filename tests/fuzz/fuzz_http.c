/* Bytes from a peer in pieces, with an application that answers at once or late, a stream with little room, time, FIN and RST.
 * The input is a list of operations: a byte that says which, a length or argument byte, and for deliveries that many bytes. The
 * fixture checks the conservation law after each; whatever is left open at the end must give everything back. */
#include "http_fixture.h"
#include <string.h>

#define STREAMS 3

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct run {
  struct http_fixture fixture;
  struct stream *streams[STREAMS];
  const uint8_t *at, *end;
};

static uint8_t next_byte(struct run *run) { return run->at < run->end ? *run->at++ : 0; }

static void deliver(struct run *run, struct stream *stream, size_t length) {
  const size_t left = (size_t)(run->end - run->at);
  if (length > left) length = left;
  fixture_send(&run->fixture, stream, run->at, length);
  run->at += length;
}

static void step_others(struct run *run) {
  for (unsigned i = 0; i < STREAMS; i++)
    if (run->streams[i]) fake_stream_step(run->streams[i], run->fixture.now_ns);
}

static void perform(struct run *run, uint8_t operation, struct stream *stream, uint8_t argument) {
  struct http_fixture *fixture = &run->fixture;
  switch (operation) {
  case 0:
    deliver(run, stream, argument);
    break;
  case 1:
    deliver(run, stream, (size_t)argument * 64);
    break;
  case 2:
    if (fixture->parked_count) fixture_answer_parked(fixture, stream);
    break;
  case 3:
    fixture_room(fixture, stream, argument == 255 ? UINT32_MAX : argument);
    break;
  case 4:
    fixture_wait(fixture, (uint64_t)argument * FIXTURE_SECOND_NS / 4);
    break;
  case 5:
    fixture_finish(fixture, stream);
    break;
  case 6:
    fake_stream_end(stream, (enum stream_end)(argument % 4), fixture->now_ns);
    break;
  default:
    if (argument == 255) http_server_drain(fixture->server, fixture->now_ns);
    fixture->answer_parked_in_handle = argument & 1;
    break;
  }
  step_others(run);
  fixture_check(fixture);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct run run = {.at = bytes, .end = bytes + length};
  fixture_prepare(&run.fixture);
  run.fixture.max_body_bytes = 10000;
  run.fixture.config.connections_max = STREAMS;
  run.fixture.config.body_pools[0].bytes = 32768; /* small, for speed */
  fixture_start(&run.fixture);
  /* Each delivery is copied whole while it is held, so operations are bounded. */
  for (unsigned operations = 0; run.at < run.end && operations < 256; operations++) {
    const uint8_t what = next_byte(&run), argument = next_byte(&run);
    struct stream **stream = &run.streams[(what >> 3) % STREAMS];
    if (*stream && (*stream)->gone) {
      fake_stream_free(*stream, run.fixture.now_ns);
      *stream = NULL;
    }
    if (!*stream) *stream = fixture_open(&run.fixture);
    if (*stream) perform(&run, what & 7, *stream, argument);
  }
  for (unsigned i = 0; i < STREAMS; i++)
    if (run.streams[i]) fake_stream_free(run.streams[i], run.fixture.now_ns);
  fixture_end(&run.fixture);
  return 0;
}

/* HTTP/2 connections: frames forged and raw, requests, an application that answers at once or late, streams with little room,
 * time, FIN, RST and drain. The input is a list of operations of two bytes and what they take. The fixture checks the
 * conservation law after each; whatever is left open at the end must give everything back, the library's memory included. */
#include "http_fixture.h"
#include <nghttp2/nghttp2.h>
#include <string.h>

#define STREAMS 3
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct run {
  struct http_fixture fixture;
  struct stream *streams[STREAMS];
  uint32_t next_id[STREAMS];
  const uint8_t *at, *end;
};

static uint8_t next_byte(struct run *run) { return run->at < run->end ? *run->at++ : 0; }

static void frame(struct run *run, struct stream *stream, uint8_t type, uint8_t flags, uint32_t id, const uint8_t *payload,
                  uint32_t length) {
  uint8_t bytes[9 + 255 * 64];
  const uint8_t header[9] = {0, (uint8_t)(length >> 8), (uint8_t)length, type, flags, 0, 0, (uint8_t)(id >> 8), (uint8_t)id};
  memcpy(bytes, header, sizeof header);
  if (length) memcpy(bytes + sizeof header, payload, length);
  fixture_send(&run->fixture, stream, bytes, sizeof header + length);
}

static uint32_t bounded(const struct run *run, size_t length) {
  const size_t left = (size_t)(run->end - run->at);
  return (uint32_t)(length < left ? length : left);
}

/* Field lines in HPACK's literal form, no table: :method POST, :scheme http, :path, and what the argument's bits add. */
static void request(struct run *run, unsigned index, uint8_t argument) {
  static const char *const paths[] = {"/park", "/x", "/large", "/fail", "/empty", "/close", "*", "no"};
  static const uint8_t grpc[] = "\x0f\x10\x10"
                                "application/grpc",
                       gzip[] = "\x00\x0d"
                                "grpc-encoding\x04"
                                "gzip",
                       coding[] = "\x0f\x0b\x04"
                                  "gzip";
  uint8_t block[160] = {0x83, 0x86, 0x04};
  const char *path = paths[argument & 7];
  uint32_t length = 3;
  block[length++] = (uint8_t)strlen(path);
  memcpy(block + length, path, strlen(path));
  length += (uint32_t)strlen(path);
  if (argument & 16) {
    memcpy(block + length, grpc, sizeof grpc - 1);
    length += (uint32_t)sizeof grpc - 1;
  }
  if (argument & 32) {
    memcpy(block + length, argument & 16 ? gzip : coding, argument & 16 ? sizeof gzip - 1 : sizeof coding - 1);
    length += (uint32_t)(argument & 16 ? sizeof gzip - 1 : sizeof coding - 1);
  }
  run->next_id[index] += 2;
  frame(run, run->streams[index], NGHTTP2_HEADERS, (uint8_t)(4 | (argument & 8 ? 1 : 0)), run->next_id[index] - 2, block, length);
}

static void forged(struct run *run, struct stream *stream, uint8_t argument) {
  const uint8_t type = next_byte(run), flags = next_byte(run), id = next_byte(run);
  const uint32_t length = bounded(run, type & 0x80 ? argument * 64u : argument);
  frame(run, stream, type & 0x7f, flags, id, run->at, length);
  run->at += length;
}

static void perform(struct run *run, uint8_t operation, unsigned index, uint8_t argument) {
  struct http_fixture *fixture = &run->fixture;
  struct stream *stream = run->streams[index];
  const uint32_t length = bounded(run, argument);
  switch (operation) {
  case 0:
    fixture_send(fixture, stream, run->at, length);
    run->at += length;
    break;
  case 1:
    forged(run, stream, argument);
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
    if (argument & 4)
      fixture_finish(fixture, stream);
    else
      fake_stream_end(stream, (enum stream_end)(argument % 4), fixture->now_ns);
    break;
  case 6:
    request(run, index, argument);
    break;
  default:
    if (argument == 255) http_server_drain(fixture->server, fixture->now_ns);
    fixture->answer_parked_in_handle = argument & 1;
    break;
  }
  for (unsigned i = 0; i < STREAMS; i++)
    if (run->streams[i]) fake_stream_step(run->streams[i], fixture->now_ns);
  fixture_check(fixture);
}

static void open_stream(struct run *run, unsigned index) {
  if (!(run->streams[index] = fixture_open(&run->fixture))) return;
  run->next_id[index] = 1;
  fixture_say(&run->fixture, run->streams[index], PREFACE);
  frame(run, run->streams[index], NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct run run = {.at = bytes, .end = bytes + length};
  fixture_prepare(&run.fixture);
  run.fixture.max_body_bytes = 10000;
  run.fixture.config.connections_max = STREAMS;
  run.fixture.config.body_pools[0].bytes = 32768; /* small, for speed */
  run.fixture.config.http2.connections_max = STREAMS - 1;
  run.fixture.config.http2.streams_max = 12;
  fixture_start(&run.fixture);
  for (unsigned operations = 0; run.at < run.end && operations < 256; operations++) {
    const uint8_t what = next_byte(&run), argument = next_byte(&run);
    const unsigned index = (what >> 3) % STREAMS;
    if (run.streams[index] && run.streams[index]->gone) {
      fake_stream_free(run.streams[index], run.fixture.now_ns);
      run.streams[index] = NULL;
    }
    if (!run.streams[index]) open_stream(&run, index);
    if (run.streams[index]) perform(&run, what & 7, index, argument);
  }
  for (unsigned i = 0; i < STREAMS; i++)
    if (run.streams[i]) fake_stream_free(run.streams[i], run.fixture.now_ns);
  fixture_end(&run.fixture);
  return 0;
}

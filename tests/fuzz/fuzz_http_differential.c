/* HTTP/1.1 beside an independent parser: what is handled is read by both alike - the same requests, line by line and byte by
 * byte. That ours refuses what the other takes is its business; the other way round is a request smuggled. */
#include "always_assert.h"
#include "http_fixture.h"
#include "http_reading.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define INPUT_BYTES_MAX 32768u

_Static_assert(HTTP_READING_PEER_IPV4 == FAKE_STREAM_PEER_IPV4, "the lines name the peer");
_Static_assert(HTTP_GET == 0 && HTTP_HEAD == 1 && HTTP_POST == 2 && HTTP_PUT == 3 && HTTP_DELETE == 4 && HTTP_OPTIONS == 5 &&
                   HTTP_METHOD_OTHER == 6,
               "and the method by its number");

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What the fixture or HTTP itself may do otherwise than the next request follows. */
static bool has_own_ways(const uint8_t *bytes, size_t length) {
  static const char *const words[] = {"/park", "/fail", "/close", "PRI ", "CONNECT", "ncoding"};
  for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
    for (size_t at = 0; at + strlen(words[i]) <= length; at++) {
      if (strncasecmp((const char *)bytes + at, words[i], strlen(words[i])) != 0) continue;
      if (i < 5 || at < 9 || strncasecmp((const char *)bytes + at - 9, "transfer-e", 10) != 0) return true;
    }
  return false;
}

static bool same_line(const char *ours, size_t ours_bytes, const char *theirs, const char *theirs_end) {
  if ((size_t)(theirs_end - theirs) == ours_bytes && memcmp(theirs, ours, ours_bytes) == 0) return true;
  fprintf(stderr, "ours:   %.*s\ntheirs: %.*s\n", (int)ours_bytes, ours, (int)(theirs_end - theirs), theirs);
  return false;
}

static void compare(const struct http_fixture *fixture, const char *theirs, const char *theirs_end) {
  if (!fixture->log) return;
  const char *ours = fixture->log, *ours_end = fixture->log + fixture->log_bytes;
  while (ours < ours_end) {
    const char *end = memchr(ours, '\n', (size_t)(ours_end - ours));
    const char *their_end = theirs < theirs_end ? memchr(theirs, '\n', (size_t)(theirs_end - theirs)) : NULL;
    ALWAYS_ASSERT(end && same_line(ours, (size_t)(end - ours), theirs, their_end ? their_end : theirs));
    ours = end + 1;
    theirs = their_end + 1;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  const char *theirs;
  uint32_t theirs_bytes;
  struct http_fixture fixture;
  if (length > INPUT_BYTES_MAX || has_own_ways(bytes, length)) return 0;
  fixture_prepare(&fixture);
  fixture_start(&fixture);
  struct stream *stream = fixture_open(&fixture);
  fixture_send(&fixture, stream, bytes, length);
  if (http_read(bytes, length, &theirs, &theirs_bytes)) compare(&fixture, theirs, theirs + theirs_bytes);
  fake_stream_free(stream, fixture.now_ns);
  fixture_end(&fixture);
  return 0;
}

#include "uuid7.h"
#include "hexadecimal.h"

#define NS_PER_MS 1000000u
#define COUNTER_MASK 0xfffu

static void store_be(uint8_t *bytes, uint64_t value, unsigned length) {
  for (unsigned i = 0; i < length; i++) bytes[i] = (uint8_t)(value >> (8 * (length - 1 - i)));
}

void uuid7_next(struct uuid7_source *source, uint64_t wall_ns, uint8_t uuid[16]) {
  const uint64_t wall_ms = wall_ns / NS_PER_MS;
  source->counter++;
  /* RFC 9562 section 6.2: when the counter rolls over within a millisecond, or the clock steps back, the ids' own time runs
   * ahead of the clock rather than back. */
  if (wall_ms > source->last_ms)
    source->last_ms = wall_ms;
  else if ((source->counter & COUNTER_MASK) == 0)
    source->last_ms++;
  const uint64_t drawn[2] = {source->origin, source->counter};
  const uint64_t random = siphash(&source->key, drawn, sizeof drawn);
  store_be(uuid, source->last_ms, 6);
  store_be(uuid + 6, 0x7000 | (source->counter & COUNTER_MASK), 2);
  store_be(uuid + 8, random >> 2 | UINT64_C(1) << 63, 8);
}

void uuid7_text(const uint8_t uuid[16], char text[37]) {
  static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};
  for (unsigned group = 0; group < sizeof group_bytes; group++) {
    hex_encode(uuid, group_bytes[group], text);
    uuid += group_bytes[group];
    text += 2 * group_bytes[group];
    *text++ = '-';
  }
  text[-1] = '\0';
}

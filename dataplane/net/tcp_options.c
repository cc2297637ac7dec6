/* TCP options (RFC 9293 section 3.1, RFC 2018, RFC 7323): at most 40 bytes, every length checked, unknown kinds skipped. */
#include "tcp_internal.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define OPTION_WINDOW_SCALE 3
#define OPTION_SACK_PERMITTED 4
#define OPTION_SACK 5
#define OPTION_TIMESTAMPS 8

bool tcp_options_parse(const uint8_t *bytes, uint32_t length, struct tcp_options *options) {
  *options = (struct tcp_options){0};
  for (uint32_t at = 0; at < length;) {
    const uint8_t kind = bytes[at];
    if (kind == OPTION_END) return true;
    if (kind == OPTION_NOP) {
      at++;
      continue;
    }
    if (length - at < 2 || bytes[at + 1] < 2 || bytes[at + 1] > length - at) return false;
    const uint8_t option_bytes = bytes[at + 1];
    if (kind == OPTION_MSS) {
      if (option_bytes != 4) return false;
      options->mss = load_be16(bytes + at + 2);
    } else if (kind == OPTION_WINDOW_SCALE) {
      if (option_bytes != 3) return false;
      options->scales = true;
      /* RFC 7323 section 2.3: a shift above 14 is read as 14. */
      options->shift = bytes[at + 2] < TCP_WINDOW_SHIFT_MAX ? bytes[at + 2] : TCP_WINDOW_SHIFT_MAX;
    } else if (kind == OPTION_SACK_PERMITTED) {
      if (option_bytes != 2) return false;
      options->sack_permitted = true;
    } else if (kind == OPTION_SACK) {
      if (option_bytes < 10 || option_bytes % 8 != 2) return false;
      options->sack_count = option_bytes / 8;
      options->sack = bytes + at + 2;
    } else if (kind == OPTION_TIMESTAMPS) {
      if (option_bytes != 10) return false;
      options->timestamps = true;
      options->timestamp = load_be32(bytes + at + 2);
      options->timestamp_echo = load_be32(bytes + at + 6);
    }
    at += option_bytes;
  }
  return true;
}

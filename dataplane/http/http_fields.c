/* The fields that decide framing, persistence and expectation (RFC 9112 sections 3.2, 6 and 9; RFC 9110 section 10.1.1). */
#include "http_parse_internal.h"
#include "http_text_internal.h"
#include <string.h>

static bool failed(struct http_parse *parse, uint16_t status, const char *reason) {
  parse->status = status;
  parse->reason = reason;
  return false;
}

bool http_authority_valid(struct http_text value) {
  static const char marks[] = "-._~%!$&'()*+;=:[]";
  for (uint32_t i = 0; i < value.length; i++) {
    const char character = value.at[i];
    const bool alphanumeric = (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
                              (character >= 'A' && character <= 'Z');
    if (!alphanumeric && !memchr(marks, character, sizeof marks - 1)) return false;
  }
  return true;
}

/* Digits only: a sign, a list or white space inside is an attempt at smuggling. Beyond 64 bits it saturates below
 * UINT64_MAX, which no limit admits. */
static bool content_length_noted(struct http_parse *parse, struct http_text value) {
  uint64_t length = 0;
  if (value.length == 0) return failed(parse, 400, "malformed Content-Length");
  for (uint32_t i = 0; i < value.length; i++) {
    const unsigned digit = (unsigned)(uint8_t)value.at[i] - '0';
    if (digit > 9) return failed(parse, 400, "malformed Content-Length");
    length = length > (UINT64_MAX - 10) / 10 ? UINT64_MAX - 1 : length * 10 + digit;
  }
  /* RFC 9110 section 8.6 lets a repeated value pass; a sender that says it twice is refused all the same. */
  if (parse->content_length_seen) return failed(parse, 400, "repeated Content-Length");
  parse->content_length_seen = true;
  parse->content_length = length;
  return true;
}

static bool transfer_encoding_noted(struct http_parse *parse, struct http_text value) {
  static const char *const known[] = {"gzip", "x-gzip", "deflate", "compress", "x-compress"};
  parse->transfer_encoding_seen = true;
  for (struct http_text coding; http_list_next(&value, &coding);) {
    if (coding.length == 0) return failed(parse, 400, "malformed Transfer-Encoding");
    if (http_text_equals_ignoring_case(coding, "chunked")) {
      parse->chunked_repeated |= parse->chunked;
      parse->chunked = true;
      continue;
    }
    bool is_known = false;
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) is_known |= http_text_equals_ignoring_case(coding, known[i]);
    parse->coding_other = true;
    parse->coding_unknown |= !is_known;
    parse->chunked_repeated |= parse->chunked;
  }
  return true;
}

static void content_encoding_noted(struct http_parse *parse, struct http_text value) {
  for (struct http_text coding; http_list_next(&value, &coding);) {
    if (coding.length == 0 || http_text_equals_ignoring_case(coding, "identity")) continue;
    const bool gzip = http_text_equals_ignoring_case(coding, "gzip") || http_text_equals_ignoring_case(coding, "x-gzip");
    parse->content_coding = gzip && parse->content_coding == HTTP_CODING_IDENTITY ? HTTP_CODING_GZIP : HTTP_CODING_UNSUPPORTED;
  }
}

static void connection_noted(struct http_parse *parse, struct http_text value) {
  for (struct http_text option; http_list_next(&value, &option);) {
    parse->connection_close |= http_text_equals_ignoring_case(option, "close");
    parse->connection_keep_alive |= http_text_equals_ignoring_case(option, "keep-alive");
  }
}

bool http_field_noted(struct http_parse *parse, const struct http_header *header) {
  switch (header->name.length) {
  case 4:
    if (!http_text_equals(header->name, "host")) return true;
    if (++parse->host_count > 1) return failed(parse, 400, "more than one Host");
    return http_authority_valid(header->value) || failed(parse, 400, "malformed Host");
  case 6:
    if (!http_text_equals(header->name, "expect")) return true;
    if (http_text_equals_ignoring_case(header->value, "100-continue"))
      parse->expect_continue = true;
    else
      parse->expect_other = true;
    return true;
  case 10:
    if (http_text_equals(header->name, "connection")) connection_noted(parse, header->value);
    return true;
  case 14:
    return !http_text_equals(header->name, "content-length") || content_length_noted(parse, header->value);
  case 16:
    if (http_text_equals(header->name, "content-encoding")) content_encoding_noted(parse, header->value);
    return true;
  case 17:
    return !http_text_equals(header->name, "transfer-encoding") || transfer_encoding_noted(parse, header->value);
  default:
    return true;
  }
}

bool http_fields_agree(struct http_parse *parse, struct http_request *request) {
  if (!parse->version_1_0 && parse->host_count == 0) return failed(parse, 400, "no Host");
  if (parse->transfer_encoding_seen) {
    if (parse->content_length_seen) return failed(parse, 400, "both Content-Length and Transfer-Encoding");
    if (parse->version_1_0) return failed(parse, 400, "Transfer-Encoding in HTTP/1.0");
    if (parse->coding_unknown) return failed(parse, 501, "unknown transfer coding");
    if (!parse->chunked || parse->chunked_repeated) return failed(parse, 400, "chunked is not the last transfer coding");
    if (parse->coding_other) return failed(parse, 501, "transfer coding not implemented");
  } else if (!parse->content_length_seen && (request->method == HTTP_POST || request->method == HTTP_PUT)) {
    return failed(parse, 411, "no Content-Length");
  }
  if (parse->version_1_0)
    parse->expect_continue = false; /* RFC 9110 section 10.1.1: ignored */
  else if (parse->expect_other)
    return failed(parse, 417, "unknown expectation");
  request->content_length = parse->chunked ? UINT64_MAX : parse->content_length;
  return true;
}

#include "always_assert.h"
#include "http_parse_internal.h"
#include "http_text_internal.h"
#include <string.h>

static const char root_path[] = "/";

static bool failed(struct http_parse *parse, uint16_t status, const char *reason) {
  parse->status = status;
  parse->reason = reason;
  return false;
}

void http_parse_begin(struct http_parse *parse, struct http_header_block *block, struct http_request *request) {
  *parse = (struct http_parse){0};
  block->text_bytes = 0;
  const uint16_t local_port = request->local_port;
  const struct ip_address peer = request->peer;
  const uint16_t peer_port = request->peer_port;
  *request = (struct http_request){.method = HTTP_METHOD_OTHER,
                                   .local_port = local_port,
                                   .peer = peer,
                                   .peer_port = peer_port,
                                   .path = {root_path, 0},
                                   .query = {root_path, 0},
                                   .headers = block->headers};
}

static enum http_method method_of(struct http_text text) {
  static const struct {
    const char *name;
    enum http_method method;
  } methods[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD},     {"POST", HTTP_POST},
                 {"PUT", HTTP_PUT}, {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS}};
  for (unsigned i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (http_text_equals(text, methods[i].name)) return methods[i].method;
  return HTTP_METHOD_OTHER;
}

/* RFC 9112 section 2.3: case-sensitive, one digit each side of the dot. */
static bool version_parsed(struct http_parse *parse, struct http_text text) {
  if (text.length != 8 || memcmp(text.at, "HTTP/", 5) != 0 || text.at[6] != '.' || text.at[5] < '0' || text.at[5] > '9' ||
      text.at[7] < '0' || text.at[7] > '9')
    return failed(parse, 400, "malformed request line");
  if (text.at[5] != '1') return failed(parse, 505, "HTTP version not supported");
  parse->version_1_0 = text.at[7] == '0';
  return true;
}

/* The part after scheme and authority of absolute-form (RFC 9112 section 3.2.2), or false. */
static bool authority_skipped(struct http_text *target) {
  uint32_t scheme = 0;
  if (target->length >= 7 && http_text_equals_ignoring_case((struct http_text){target->at, 7}, "http://"))
    scheme = 7;
  else if (target->length >= 8 && http_text_equals_ignoring_case((struct http_text){target->at, 8}, "https://"))
    scheme = 8;
  if (scheme == 0) return false;
  uint32_t end = scheme;
  while (end < target->length && target->at[end] != '/' && target->at[end] != '?') end++;
  if (end == scheme || !http_authority_valid((struct http_text){target->at + scheme, end - scheme})) return false;
  target->at += end;
  target->length -= end;
  return true;
}

static bool target_parsed(struct http_parse *parse, struct http_request *request, struct http_text target) {
  for (uint32_t i = 0; i < target.length; i++) {
    const uint8_t byte = (uint8_t)target.at[i];
    if (byte <= 0x20 || byte >= 0x7f || byte == '#') return failed(parse, 400, "malformed request target");
  }
  if (http_text_equals(target, "*")) {
    if (request->method != HTTP_OPTIONS) return failed(parse, 400, "malformed request target");
    request->path = target;
    return true;
  }
  if (target.length == 0 || (target.at[0] != '/' && !authority_skipped(&target)))
    return failed(parse, 400, "malformed request target");
  const char *question = target.length ? memchr(target.at, '?', target.length) : NULL;
  request->path = (struct http_text){target.at, question ? (uint32_t)(question - target.at) : target.length};
  if (question) request->query = (struct http_text){question + 1, target.length - request->path.length - 1};
  if (request->path.length == 0) request->path = (struct http_text){root_path, 1};
  return true;
}

static bool request_line_parsed(struct http_parse *parse, struct http_request *request, char *line, uint32_t length) {
  const char *const end = line + length;
  const char *space = length ? memchr(line, ' ', length) : NULL;
  const char *second = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;
  if (!second || space == line) return failed(parse, 400, "malformed request line");
  for (const char *at = line; at < space; at++)
    if (!http_token_lower[(uint8_t)*at]) return failed(parse, 400, "malformed request line");
  /* The version before the target: a target in an unknown version's syntax is not ours to judge. */
  if (!version_parsed(parse, (struct http_text){second + 1, (uint32_t)(end - second - 1)})) return false;
  const struct http_text method = {line, (uint32_t)(space - line)};
  if (http_text_equals(method, "CONNECT")) return failed(parse, 501, "CONNECT is not implemented");
  request->method = method_of(method);
  return target_parsed(parse, request, (struct http_text){space + 1, (uint32_t)(second - space - 1)});
}

static bool field_parsed(struct http_parse *parse, struct http_header_block *block, struct http_request *request, char *line,
                         uint32_t length) {
  if (line[0] == ' ' || line[0] == '\t') return failed(parse, 400, "folded header line");
  uint32_t name = 0;
  for (uint8_t character; name < length && (character = http_token_lower[(uint8_t)line[name]]); name++)
    line[name] = (char)character;
  if (name == 0 || name == length || line[name] != ':') return failed(parse, 400, "malformed header line");
  const struct http_text value = http_text_trimmed((struct http_text){line + name + 1, length - name - 1});
  if (!http_value_valid(value.at, value.length)) return failed(parse, 400, "control character in a header value");
  struct http_header *header = &block->headers[request->header_count++];
  *header = (struct http_header){.name = {line, name}, .value = value};
  return http_field_noted(parse, header);
}

/* A whole line without its CRLF. */
static enum http_parse_progress line_parsed(struct http_parse *parse, struct http_header_block *block,
                                            struct http_request *request, char *line, uint32_t length) {
  if (!parse->request_line_done) {
    parse->request_line_done = true;
    return request_line_parsed(parse, request, line, length) ? HTTP_PARSE_MORE : HTTP_PARSE_FAILED;
  }
  if (length == 0) return http_fields_agree(parse, request) ? HTTP_PARSE_DONE : HTTP_PARSE_FAILED;
  if (request->header_count == HTTP_HEADERS_MAX) {
    (void)failed(parse, 431, "too many header fields");
    return HTTP_PARSE_FAILED;
  }
  return field_parsed(parse, block, request, line, length) ? HTTP_PARSE_MORE : HTTP_PARSE_FAILED;
}

uint32_t http_parse_bytes(struct http_parse *parse, struct http_header_block *block, struct http_request *request,
                          const uint8_t *bytes, uint32_t length, enum http_parse_progress *progress) {
  char *const text = http_header_block_text(block);
  uint32_t taken = 0;
  *progress = HTTP_PARSE_MORE;
  while (taken < length && *progress == HTTP_PARSE_MORE) {
    const uint32_t limit = parse->request_line_done ? HTTP_HEADER_BYTES_MAX : HTTP_REQUEST_LINE_BYTES_MAX;
    const uint32_t allowed = limit - block->text_bytes;
    const uint32_t offered = length - taken < allowed ? length - taken : allowed;
    const uint8_t *feed = offered ? memchr(bytes + taken, '\n', offered) : NULL;
    const uint32_t run = feed ? (uint32_t)(feed - (bytes + taken)) + 1 : offered;
    if (!feed && length - taken > allowed) {
      (void)failed(parse, parse->request_line_done ? 431 : 414,
                   parse->request_line_done ? "header block too large" : "request target too long");
      *progress = HTTP_PARSE_FAILED;
      break;
    }
    if (run > block->text_capacity - block->text_bytes ||
        (request->header_count == block->header_capacity && block->header_capacity < HTTP_HEADERS_MAX)) {
      *progress = HTTP_PARSE_NO_SPACE;
      break;
    }
    memcpy(text + block->text_bytes, bytes + taken, run);
    block->text_bytes += run;
    taken += run;
    if (!feed) break;
    char *const line = text + parse->line_start;
    const uint32_t line_bytes = block->text_bytes - parse->line_start;
    parse->line_start = block->text_bytes;
    if (line_bytes < 2 || line[line_bytes - 2] != '\r') {
      (void)failed(parse, 400, "line ends without CR");
      *progress = HTTP_PARSE_FAILED;
      break;
    }
    *progress = line_parsed(parse, block, request, line, line_bytes - 2);
  }
  return taken;
}

static struct http_text moved(struct http_text text, char *to, const char *from, uint32_t length) {
  if (text.at >= from && text.at <= from + length) text.at = to + (text.at - from);
  return text;
}

void http_parse_move(struct http_header_block *to, struct http_header_block *from, struct http_request *request) {
  ALWAYS_ASSERT(to->text_capacity >= from->text_bytes && to->header_capacity >= request->header_count);
  char *const to_text = http_header_block_text(to);
  const char *const from_text = http_header_block_text(from);
  memcpy(to_text, from_text, from->text_bytes);
  to->text_bytes = from->text_bytes;
  for (uint32_t i = 0; i < request->header_count; i++) {
    to->headers[i].name = moved(from->headers[i].name, to_text, from_text, from->text_bytes);
    to->headers[i].value = moved(from->headers[i].value, to_text, from_text, from->text_bytes);
  }
  request->headers = to->headers;
  request->path = moved(request->path, to_text, from_text, from->text_bytes);
  request->query = moved(request->query, to_text, from_text, from->text_bytes);
}

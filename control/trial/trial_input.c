/* Files of bodies: what the Collector's file exporter writes, and single requests. */
#include "trial_document_internal.h"
#include "trial_input_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *trial_unread_name(enum trial_unread what) {
  static const char *const names[UNREADS] = {
      [UNREAD_NOT_IP] = "not_ip",
      [UNREAD_OTHER_PORTS] = "other_ports",
      [UNREAD_TRUNCATED] = "truncated_frames",
      [UNREAD_BAD_HEADER] = "bad_headers",
      [UNREAD_FRAGMENT] = "fragments",
      [UNREAD_TLS] = "tls_connections",
      [UNREAD_NO_BEGINNING] = "connections_without_beginning",
      [UNREAD_GAP] = "gaps",
      [UNREAD_FORGOTTEN] = "connections_forgotten",
      [UNREAD_UNFINISHED] = "unfinished_requests",
      [UNREAD_OTHER_REQUESTS] = "other_requests",
      [UNREAD_CUT] = "cut_bodies",
  };
  return (unsigned)what < UNREADS ? names[what] : "unknown";
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool trial_looks_like_json(const void *bytes, size_t length) {
  const char *text = bytes;
  size_t at = 0;
  while (at < length && is_space(text[at])) at++;
  return at < length && (text[at] == '{' || text[at] == '[');
}

#define RELEASE_EVERY_BYTES (16u << 20)

struct mapped_file {
  uint8_t *bytes;
  size_t length, at, released;
  const struct trial_reader *reader;
  struct trial_report *report;
};

/* What has been read need not stay in memory, however large the file is. */
static void release(struct mapped_file *file) {
  if (file->at - file->released < RELEASE_EVERY_BYTES) return;
  const size_t end = file->at & ~(size_t)(RELEASE_EVERY_BYTES - 1);
  madvise(file->bytes + file->released, end - file->released, MADV_DONTNEED);
  file->released = end;
}

static void hand_over(struct mapped_file *file, enum trial_format format, size_t from, size_t length) {
  const struct trial_body body = {.format = format, .bytes = file->bytes + from, .length = length};
  struct trial_answer answer;
  file->at = from + length;
  file->reader->body(file->reader->context, 0, &body, &answer);
  release(file);
  if (file->reader->progress) file->reader->progress(file->reader->context, file->at, file->length);
}

/* Where the object or list that begins at `from` ends, by its brackets; 0: not in this file. The decoders judge what is in it. */
static size_t json_end(const struct mapped_file *file, size_t from) {
  size_t depth = 0;
  bool text = false;
  for (size_t at = from; at < file->length; at++) {
    const char c = (char)file->bytes[at];
    if (text) {
      if (c == '\\') at++;
      text = c != '"';
    } else if (c == '"') {
      text = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return at + 1;
    }
  }
  return 0;
}

/* One value after the other, on lines of their own or not. What is none is cut up to the end of its line. */
static void read_json(struct mapped_file *file) {
  while (file->at < file->length) {
    const size_t from = file->at;
    const char c = (char)file->bytes[from];
    if (is_space(c)) {
      file->at++;
      continue;
    }
    const size_t end = c == '{' || c == '[' ? json_end(file, from) : 0;
    if (end) {
      hand_over(file, c == '[' ? TRIAL_ZIPKIN : TRIAL_OTLP_JSON, from, end - from);
      continue;
    }
    file->report->unread[UNREAD_CUT]++;
    const uint8_t *next = memchr(file->bytes + from, '\n', file->length - from);
    file->at = next ? (size_t)(next - file->bytes) + 1 : file->length;
  }
}

static bool read_varint(const struct mapped_file *file, size_t *at, uint64_t *number) {
  *number = 0;
  for (unsigned shift = 0; shift < 63 && *at < file->length; shift += 7) {
    const uint8_t byte = file->bytes[(*at)++];
    *number |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

#define FIELD_RESOURCE_SPANS 0x0a /* field 1, with a length: all that an ExportTraceServiceRequest has */

/* The fields of one request, to the very end of the file. */
static bool is_single_request(const struct mapped_file *file) {
  size_t at = 0;
  while (at < file->length) {
    uint64_t bytes;
    if (file->bytes[at++] != FIELD_RESOURCE_SPANS || !read_varint(file, &at, &bytes) || bytes > file->length - at) return false;
    at += bytes;
  }
  return true;
}

/* The next message's length, as protobuf's own libraries write it before a message, or as the file exporter does: four bytes, the
 * high one first. */
static bool read_length(const struct mapped_file *file, bool big_endian, size_t *at, uint64_t *bytes) {
  if (!big_endian) return read_varint(file, at, bytes);
  if (file->length - *at < 4) return false;
  const uint8_t *four = file->bytes + *at;
  *bytes = (uint64_t)four[0] << 24 | (uint64_t)four[1] << 16 | (uint64_t)four[2] << 8 | four[3];
  *at += 4;
  return true;
}

/* All of the file can be a row of messages; the last may be cut. */
static bool is_delimited(const struct mapped_file *file, bool big_endian) {
  size_t at = 0, messages = 0;
  while (at < file->length) {
    uint64_t bytes;
    if (!read_length(file, big_endian, &at, &bytes)) return messages > 0;
    if (bytes && at < file->length && file->bytes[at] != FIELD_RESOURCE_SPANS) return false;
    if (bytes > file->length - at) return messages > 0;
    at += bytes;
    messages++;
  }
  return true;
}

static void read_delimited(struct mapped_file *file, bool big_endian) {
  while (file->at < file->length) {
    uint64_t bytes;
    size_t at = file->at;
    if (!read_length(file, big_endian, &at, &bytes) || bytes > file->length - at) {
      file->report->unread[UNREAD_CUT]++;
      return;
    }
    hand_over(file, TRIAL_OTLP_PROTOBUF, at, bytes);
  }
}

static bool read_bodies(struct mapped_file *file) {
  struct trial_report *report = file->report;
  report->recording = RECORDING_BODIES;
  report->total_bytes = file->length;
  if (trial_looks_like_json(file->bytes, file->length)) {
    report->format = "JSON";
    read_json(file);
  } else if (is_single_request(file)) {
    report->format = "OTLP protobuf, one request";
    hand_over(file, TRIAL_OTLP_PROTOBUF, 0, file->length);
  } else if (is_delimited(file, true)) {
    report->format = "OTLP protobuf, length-delimited (32 bits)";
    read_delimited(file, true);
  } else if (is_delimited(file, false)) {
    report->format = "OTLP protobuf, length-delimited";
    read_delimited(file, false);
  } else {
    return false;
  }
  return true;
}

static bool read_mapped(const char *path, int descriptor, size_t length, const struct trial_reader *reader,
                        struct trial_report *report, struct rule_errors *errors) {
  void *bytes = length ? mmap(NULL, length, PROT_READ, MAP_PRIVATE, descriptor, 0) : NULL;
  struct mapped_file file = {.bytes = bytes, .length = length, .reader = reader, .report = report};
  if (length == 0 || bytes == MAP_FAILED) {
    trial_error_file(errors, path, "%s", length == 0 ? "is empty" : strerror(errno));
    return false;
  }
  bool good;
  if (trial_is_capture(bytes, length)) {
    report->total_bytes = length;
    FILE *capture = fopen(path, "re");
    good = capture && trial_capture_read_file(capture, path, reader, report, errors);
    if (!capture) trial_error_file(errors, path, "cannot be read: %s", strerror(errno));
  } else {
    madvise(bytes, length, MADV_SEQUENTIAL);
    good = read_bodies(&file);
    if (!good)
      trial_error_file(errors, path,
                       "is no capture, no journal's folder, and no OTLP or Zipkin spans, neither JSON nor protobuf");
  }
  munmap(bytes, length);
  return good;
}

bool trial_recording_read(const char *path, const struct trial_reader *reader, struct trial_report *report,
                          struct rule_errors *errors) {
  struct stat status;
  *report = (struct trial_report){0};
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    trial_error_file(errors, path, "cannot be read: %s", strerror(errno));
    if (descriptor >= 0) close(descriptor);
    return false;
  }
  bool good = false;
  if (S_ISDIR(status.st_mode))
    good = trial_journal_read(path, reader, report, errors);
  else if (S_ISREG(status.st_mode))
    good = read_mapped(path, descriptor, (size_t)status.st_size, reader, report, errors);
  else
    trial_error_file(errors, path, "is neither a file nor a folder");
  close(descriptor);
  return good;
}

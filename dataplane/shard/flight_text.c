#include "flight_text.h"
#include "always_assert.h"
#include "shard.h"
#include <string.h>

static const char *const protocol_names[FLIGHT_PROTOCOLS] = {"otlp_http", "otlp_grpc", "zipkin",
                                                             "webhooks",  "otlp_udp",  "jaeger_udp"};
static const char *const version_names[FLIGHT_VERSIONS] = {"http/1", "http/2", "grpc", "udp"};
static const char *const receiving_names[] = {"open", "paused", "refusing"};
static const char *const end_names[] = {"finished", "reset", "timed_out", "aborted"};
static const char *const plain_reasons[] = {"other",      "http",           "overloaded", "not_found", "method",
                                            "media_type", "unknown_source", "malformed",  "too_large", "journal_failed"};
#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof *(list)))
#define FIRST_WEBHOOK_REASON COUNT(plain_reasons)
#define FIRST_DATAGRAM_REASON (FIRST_WEBHOOK_REASON + REFUSALS)

static const char *name_in(const char *const *names, uint32_t count, uint64_t index) {
  return index < count ? names[index] : "unknown";
}
static const char *protocol_name(uint64_t value) { return name_in(protocol_names, FLIGHT_PROTOCOLS, value); }
static const char *version_name(uint64_t value) { return name_in(version_names, FLIGHT_VERSIONS, value); }
static const char *receiving_name(uint64_t value) { return name_in(receiving_names, COUNT(receiving_names), value); }
static const char *end_name(uint64_t value) { return name_in(end_names, COUNT(end_names), value); }
static const char *reason_name(uint64_t value) { return flight_reason_name((uint32_t)value); }
static const char *resource_name(uint64_t value) {
  return value < RESOURCES ? pressure_resource_name((enum pressure_resource)value) : "unknown";
}
static const char *state_name(uint64_t value) { return value < PRESSURES ? pressure_name((enum pressure)value) : "unknown"; }

const char *flight_reason_name(uint32_t reason) {
  if (reason < FIRST_WEBHOOK_REASON) return plain_reasons[reason];
  if (reason < FIRST_DATAGRAM_REASON) return webhook_refusal_name(reason - FIRST_WEBHOOK_REASON);
  return datagram_outcome_name((enum datagram_outcome)(reason - FIRST_DATAGRAM_REASON));
}

uint32_t flight_reason_of_name(const char *name) {
  for (uint32_t reason = 0; reason < FIRST_DATAGRAM_REASON; reason++)
    if (strcmp(flight_reason_name(reason), name) == 0) return reason;
  return 0;
}

uint32_t flight_reason_of_datagram(unsigned outcome) { return FIRST_DATAGRAM_REASON + outcome; }

/* status 16 bits, protocol 8, version 8, flags. */
#define FORCED_SHIFT 32
#define PARKED_SHIFT 33

uint64_t flight_pack(const struct flight_request *request) {
  return (uint64_t)request->status | (uint64_t)request->protocol << 16 | (uint64_t)request->version << 24 |
         (uint64_t)request->forced << FORCED_SHIFT | (uint64_t)request->parked << PARKED_SHIFT;
}

/* A field of an event: some bits of `code` (word -1) or of a value. */
struct field {
  const char *name;
  int8_t word;
  uint8_t shift, bits;
  enum { FIELD_NUMBER, FIELD_NAME, FIELD_FLAG, FIELD_ADDRESS } form;
  const char *(*name_of)(uint64_t value);
};

#define NUMBER(name, word)                                                                                                       \
  { name, word, 0, 64, FIELD_NUMBER, NULL }
#define NAME(name, word, name_of)                                                                                                \
  { name, word, 0, 64, FIELD_NAME, name_of }
#define CODE -1
#define PROTOCOL                                                                                                                 \
  { "protocol", 2, 16, 8, FIELD_NAME, protocol_name }
#define VERSION                                                                                                                  \
  { "version", 2, 24, 8, FIELD_NAME, version_name }
#define STATUS                                                                                                                   \
  { "status", 2, 0, 16, FIELD_NUMBER, NULL }
#define PEER                                                                                                                     \
  { "peer", 0, 0, 64, FIELD_ADDRESS, NULL }
#define FLAG(name, shift)                                                                                                        \
  { name, 2, shift, 1, FIELD_FLAG, NULL }
#define FIELDS_MAX 8

static const struct {
  const char *name;
  struct field fields[FIELDS_MAX];
} kinds[FLIGHT_KINDS] = {
    [FLIGHT_REQUEST_RECEIVED] = {"request_received",
                                 {PROTOCOL, VERSION, PEER, NUMBER("body_bytes", 3), FLAG("forced", FORCED_SHIFT)}},
    [FLIGHT_REQUEST_ANSWERED] = {"request_answered",
                                 {PROTOCOL, VERSION, PEER, STATUS, NUMBER("body_bytes", 3), NUMBER("ns", 4),
                                  FLAG("parked", PARKED_SHIFT)}},
    [FLIGHT_REQUEST_REFUSED] = {"request_refused",
                                {PROTOCOL, VERSION, PEER, STATUS, NAME("reason", CODE, reason_name), NUMBER("body_bytes", 3),
                                 NUMBER("ns", 4)}},
    [FLIGHT_MALFORMED] = {"malformed",
                          {PROTOCOL, VERSION, PEER, STATUS, NAME("reason", CODE, reason_name), NUMBER("body_bytes", 3)}},
    [FLIGHT_FRAMES_MALFORMED] = {"frames_malformed", {NUMBER("frames", 0), NUMBER("total", 1)}},
    [FLIGHT_CONNECTION_ACCEPTED] = {"connection_accepted", {PROTOCOL, PEER, NUMBER("connections", 3)}},
    [FLIGHT_CONNECTION_ENDED] = {"connection_ended", {PROTOCOL, PEER, NAME("end", CODE, end_name), NUMBER("connections", 3)}},
    [FLIGHT_VIOLATIONS_RAISED] = {"violations_raised",
                                  {NUMBER("violations", 0), NUMBER("total", 1), NUMBER("ring_position", 2),
                                   NUMBER("ring_durable", 3)}},
    [FLIGHT_JOURNAL_FULL] = {"journal_full",
                             {NUMBER("records", 0), NUMBER("total", 1), NUMBER("ring_position", 2), NUMBER("ring_durable", 3)}},
    [FLIGHT_JOURNAL_FAILED] = {"journal_failed", {NUMBER("ring_durable", 0), NUMBER("parked", 1)}},
    [FLIGHT_PRESSURE] = {"pressure",
                         {NAME("resource", CODE, resource_name), NAME("before", 0, state_name), NAME("state", 1, state_name),
                          NUMBER("used", 2), NUMBER("capacity", 3)}},
    [FLIGHT_RECEIVING] = {"receiving",
                          {NAME("state", CODE, receiving_name), NAME("before", 0, receiving_name),
                           NUMBER("record_bytes_waiting", 1)}},
    [FLIGHT_RULES_ADOPTED] = {"rules_adopted", {NUMBER("generation", 0)}},
    [FLIGHT_DRAINING] = {"draining", {NUMBER("connections", 0), NUMBER("requests", 1), NUMBER("parked", 2)}},
};

const char *flight_kind_name(unsigned kind) { return kind < FLIGHT_KINDS ? kinds[kind].name : "unknown"; }

int flight_kind_of_name(const char *name) {
  for (int kind = 0; kind < FLIGHT_KINDS; kind++)
    if (strcmp(kinds[kind].name, name) == 0) return kind;
  return -1;
}

struct writer {
  char *at, *end; /* one byte before the end is kept for NUL */
};

static void put(struct writer *writer, const char *text, size_t length) {
  ALWAYS_ASSERT((size_t)(writer->end - writer->at) > length);
  memcpy(writer->at, text, length);
  writer->at += length;
}
static void put_text(struct writer *writer, const char *text) { put(writer, text, strlen(text)); }
static void put_number(struct writer *writer, uint64_t number) {
  char digits[21];
  put(writer, digits, flight_number_text(number, digits));
}
static void put_padded(struct writer *writer, uint64_t number, unsigned digits) {
  char text[21];
  const size_t length = flight_number_text(number, text);
  for (size_t i = length; i < digits; i++) put(writer, "0", 1);
  put(writer, text, length);
}

size_t flight_number_text(uint64_t number, char text[21]) {
  char digits[20];
  size_t count = 0, length = 0;
  do digits[count++] = (char)('0' + number % 10);
  while (number /= 10);
  while (count) text[length++] = digits[--count];
  text[length] = '\0';
  return length;
}

/* The proleptic Gregorian date of a day since 1970, by counting from a March so that the leap day is a year's last. */
void flight_time_text(uint64_t wall_ns, char text[31]) {
  const uint64_t seconds = wall_ns / 1000000000, days = seconds / 86400 + 719468, day_second = seconds % 86400;
  const uint64_t era = days / 146097, day_of_era = days % 146097;
  const uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const uint64_t march_month = (5 * day_of_year + 2) / 153;
  const uint64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  struct writer writer = {text, text + 31};
  put_padded(&writer, era * 400 + year_of_era + (month <= 2), 4);
  put(&writer, "-", 1);
  put_padded(&writer, month, 2);
  put(&writer, "-", 1);
  put_padded(&writer, day_of_year - (153 * march_month + 2) / 5 + 1, 2);
  put(&writer, "T", 1);
  put_padded(&writer, day_second / 3600, 2);
  put(&writer, ":", 1);
  put_padded(&writer, day_second / 60 % 60, 2);
  put(&writer, ":", 1);
  put_padded(&writer, day_second % 60, 2);
  put(&writer, ".", 1);
  put_padded(&writer, wall_ns % 1000000000, 9);
  put(&writer, "Z", 1);
  *writer.at = '\0';
}

static void put_address(struct writer *writer, const uint64_t words[2]) {
  static const char hexadecimal[] = "0123456789abcdef";
  const struct ip_address address = {{words[0], words[1]}};
  uint8_t bytes[16];
  ip_address_store(bytes, &address);
  if (ip_address_is_ipv4(&address)) {
    for (unsigned i = 12; i < 16; i++) {
      if (i > 12) put(writer, ".", 1);
      put_number(writer, bytes[i]);
    }
    return;
  }
  for (unsigned i = 0; i < 16; i++) {
    if (i && i % 2 == 0) put(writer, ":", 1);
    put(writer, &hexadecimal[bytes[i] >> 4], 1);
    put(writer, &hexadecimal[bytes[i] & 15], 1);
  }
}

static void put_field(struct writer *writer, const struct flight_event *event, const struct field *field) {
  const uint64_t word = field->word == CODE ? event->code : event->values[field->word];
  const uint64_t value = field->bits == 64 ? word : word >> field->shift & ((1ull << field->bits) - 1);
  put_text(writer, ",\"");
  put_text(writer, field->name);
  put_text(writer, "\":");
  switch (field->form) {
  case FIELD_NUMBER:
    put_number(writer, value);
    break;
  case FIELD_FLAG:
    put_text(writer, value ? "true" : "false");
    break;
  case FIELD_NAME:
    put_text(writer, "\"");
    put_text(writer, field->name_of(value));
    put_text(writer, "\"");
    break;
  case FIELD_ADDRESS:
    put_text(writer, "\"");
    put_address(writer, &event->values[field->word]);
    put_text(writer, "\"");
    break;
  }
}

size_t flight_text(const struct flight_event *event, char text[FLIGHT_TEXT_BYTES_MAX]) {
  struct writer writer = {text, text + FLIGHT_TEXT_BYTES_MAX};
  char time[31];
  flight_time_text(event->wall_ns, time);
  put_text(&writer, "{\"time\":\"");
  put_text(&writer, time);
  put_text(&writer, "\",\"shard\":");
  put_number(&writer, event->shard);
  put_text(&writer, ",\"sequence\":");
  put_number(&writer, event->sequence);
  put_text(&writer, ",\"kind\":\"");
  put_text(&writer, flight_kind_name(event->kind));
  put_text(&writer, "\"");
  if (event->kind < FLIGHT_KINDS)
    for (unsigned i = 0; i < FIELDS_MAX && kinds[event->kind].fields[i].name; i++)
      put_field(&writer, event, &kinds[event->kind].fields[i]);
  put_text(&writer, "}");
  *writer.at = '\0';
  return (size_t)(writer.at - text);
}

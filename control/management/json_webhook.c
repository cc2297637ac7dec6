#include "json_webhook.h"
#include "hexadecimal.h"
#include "json_values.h"
#include "utf8.h"
#include "uuid7.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

const char *webhook_kind_word(unsigned kind) {
  static const char *const words[] = {"json", "alertmanager", "github", "standard-webhooks"};
  return kind < 4 ? words[kind] : "unknown";
}

static json_t *uuid_json(const uint8_t id[16]) {
  char text[37];
  uuid7_text(id, text);
  return json_string(text);
}

static json_t *peer_json(const uint8_t peer[16]) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  char text[INET6_ADDRSTRLEN];
  const bool ipv4 = memcmp(peer, mapped, sizeof mapped) == 0;
  return inet_ntop(ipv4 ? AF_INET : AF_INET6, ipv4 ? peer + 12 : peer, text, sizeof text) ? json_string(text) : json_null();
}

/* RFC 4648 section 4. */
static json_t *base64_json(const uint8_t *bytes, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t text_length = (length + 2) / 3 * 4;
  char *text = malloc(text_length + 1), *out = text;
  if (!text) return json_null();
  for (size_t at = 0; at < length; at += 3) {
    const size_t left = length - at;
    const uint32_t group =
        (uint32_t)bytes[at] << 16 | (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) | (left > 2 ? bytes[at + 2] : 0);
    *out++ = digits[group >> 18];
    *out++ = digits[group >> 12 & 63];
    *out++ = left > 1 ? digits[group >> 6 & 63] : '=';
    *out++ = left > 2 ? digits[group & 63] : '=';
  }
  json_t *json = json_stringn(text, text_length);
  free(text);
  return json;
}

/* Two members: the text, and how it is written. */
static void set_text(json_t *object, const char *key, const char *encoding_key, const void *bytes, size_t length) {
  const bool is_text = utf8_valid(bytes, length) && !memchr(bytes, 0, length);
  json_object_set_new(object, key, is_text ? json_stringn(bytes, length) : base64_json(bytes, length));
  json_object_set_new(object, encoding_key, json_string(is_text ? "utf-8" : "base64"));
}

static json_t *headers_json(const struct webhook_account *account) {
  json_t *headers = json_array();
  for (uint32_t i = 0; i < account->audit.header_count; i++) {
    const struct webhook_audit_header *header = &account->headers[i];
    json_t *json = json_object(), *name = json_stringn(header->name.at, header->name.length);
    json_object_set_new(json, "name", name ? name : json_null());
    set_text(json, "value", "encoding", header->value.at, header->value.length);
    json_object_set_new(json, "cut", json_boolean(header->cut));
    json_array_append_new(headers, json);
  }
  return headers;
}

static json_t *verdict_json(const struct webhook_account *account) {
  const struct webhook_audit *audit = &account->audit;
  json_t *ids = json_array();
  for (uint32_t i = 0; i < audit->violation_id_count; i++) json_array_append_new(ids, uuid_json(account->violation_ids[i]));
  return json_pack("{s:I, s:I, s:I, s:I, s:b, s:o}", "generation", (json_int_t)audit->generation, "violations",
                   (json_int_t)audit->violations, "shadow_matches", (json_int_t)audit->shadow_matches, "window_matches",
                   (json_int_t)audit->window_matches, "partial", (audit->flags & WEBHOOK_VERDICT_PARTIAL) != 0, "violation_ids",
                   ids);
}

static const char *body_words(const struct webhook_account *account) {
  if (account->body) return "kept";
  return account->audit.flags & WEBHOOK_BODY_TOO_LARGE ? "not kept: too large" : "not kept";
}

json_t *json_webhook(const struct webhook_account *account, uint64_t lsn, const char *node, bool with_body) {
  const struct webhook_record *record = &account->record;
  const bool audited = account->audited;
  char sha256[65] = "", key[33] = "";
  hex_encode(record->body_sha256, sizeof record->body_sha256, sha256);
  hex_encode(record->id_key, sizeof record->id_key, key);
  json_t *source = json_stringn(record->source, record->source_length), *json = json_object();
  json_object_set_new(json, "correlation_id", uuid_json(record->correlation_id));
  json_object_set_new(json, "source", source ? source : json_null());
  json_object_set_new(json, "kind", json_string(webhook_kind_word(record->source_kind)));
  json_object_set_new(json, "status", json_integer(record->status));
  json_object_set_new(json, "time", json_time(record->header.wall_ns));
  json_object_set_new(json, "received", audited ? json_time(account->audit.received_ns) : json_null());
  json_object_set_new(json, "peer", audited ? peer_json(account->audit.peer) : json_null());
  json_object_set_new(json, "peer_port", audited ? json_integer(account->audit.peer_port) : json_null());
  json_object_set_new(json, "verdict", audited ? verdict_json(account) : json_null());
  json_object_set_new(json, "id_key", record->remember_until_ns ? json_stringn(key, 32) : json_null());
  json_object_set_new(json, "id_remembered_until",
                      record->remember_until_ns ? json_time(record->remember_until_ns) : json_null());
  json_object_set_new(json, "headers", audited ? headers_json(account) : json_null());
  json_object_set_new(json, "headers_left_out", audited ? json_integer(account->audit.headers_left_out) : json_null());
  json_object_set_new(json, "body_bytes", json_integer(record->body_bytes));
  json_object_set_new(json, "body_sha256", json_stringn(sha256, 64));
  json_object_set_new(json, "body_state", json_string(body_words(account)));
  if (with_body) {
    json_object_set_new(json, "body", json_null());
    json_object_set_new(json, "body_encoding", json_null());
    if (account->body) set_text(json, "body", "body_encoding", account->body, record->body_bytes);
  }
  json_object_set_new(json, "node", json_string(node));
  json_object_set_new(json, "shard", json_integer(record->header.shard));
  json_object_set_new(json, "lsn", json_integer((json_int_t)lsn));
  return json;
}

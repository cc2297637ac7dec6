#pragma once
/* Trace requests as plain data, and encoders of them that share no code with the decoders. With a seed the encoders vary all that
 * a sender may vary without changing the meaning: order of fields, unknown fields, long forms, spelling of numbers and strings.
 */
#include "event.h"
#include <stddef.h>

#define MODEL_ATTRIBUTES_MAX 10

struct model_bytes {
  uint8_t *at;
  size_t length, room;
};

void model_put(struct model_bytes *bytes, const void *at, size_t length);
void model_put_varint(struct model_bytes *bytes, uint64_t value);
/* Tag, length, content. */
void model_put_field(struct model_bytes *bytes, uint32_t number, const void *at, size_t length);
void model_free(struct model_bytes *bytes);

struct model_attribute {
  struct event_text key;
  struct value value;
};

struct model_span {
  uint8_t trace_id[20], span_id[12], parent_id[12];
  uint32_t trace_id_bytes, span_id_bytes, parent_id_bytes;
  struct event_text name;
  int32_t kind, status;
  uint64_t start_ns, end_ns;
  uint32_t attribute_count;
  struct model_attribute attributes[MODEL_ATTRIBUTES_MAX];
};

struct model_resource {
  uint32_t attribute_count;
  struct model_attribute attributes[MODEL_ATTRIBUTES_MAX];
  uint32_t span_count;
  struct model_span *spans;
};

/* `seed` NULL: as a plain sender writes it. The spans of a resource may be spread over several scopes. */
void model_encode_protobuf(const struct model_resource *resources, uint32_t count, unsigned *seed, struct model_bytes *out);
void model_encode_json(const struct model_resource *resources, uint32_t count, unsigned *seed, struct model_bytes *out);

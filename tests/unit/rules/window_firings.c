#include "window_firings.h"
#include <stdio.h>

static void copy(char *into, size_t room, const char *text, uint32_t length) {
  snprintf(into, room, "%.*s", (int)length, text ? text : "");
}

static void add(void *context, const struct violation *violation) {
  struct firings *firings = context;
  assert_true(firings->count < FIRINGS_MAX);
  struct firing *firing = &firings->at[firings->count++];
  *firing = (struct firing){.count = violation->fixed.count,
                            .value = -1,
                            .wall_ns = violation->wall_ns,
                            .first_seen_ns = violation->fixed.first_seen_ns,
                            .last_seen_ns = violation->fixed.last_seen_ns,
                            .has_trace = violation->fixed.has_trace};
  copy(firing->rule, sizeof firing->rule, violation->rule.at, violation->rule.length);
  copy(firing->message, sizeof firing->message, violation->message.at, violation->message.length);
  copy(firing->service, sizeof firing->service, violation->service.at, violation->service.length);
  for (uint32_t i = 0; i < violation->attribute_count; i++) {
    const struct violation_attribute *attribute = &violation->attributes[i];
    const bool is_value = attribute->key.length == 5 && memcmp(attribute->key.at, "value", 5) == 0;
    const bool is_suppressed = attribute->key.length == 10 && memcmp(attribute->key.at, "suppressed", 10) == 0;
    if (is_value)
      firing->value = attribute->value.type == VALUE_INTEGER ? (double)attribute->value.integer : attribute->value.real;
    else if (is_suppressed)
      firing->suppressed = attribute->value.integer;
    else if (attribute->value.type == VALUE_STRING && !firing->key[0])
      copy(firing->key, sizeof firing->key, attribute->value.text, attribute->value.length);
  }
}

struct firings read_firings(struct engine_rig *rig) {
  struct firings firings = {0};
  rig_violations(rig, add, &firings);
  return firings;
}

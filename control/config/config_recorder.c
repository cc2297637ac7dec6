#include "config_internal.h"
#include "flight_recorder.h"

#define RECORDER (&((struct config *)target)->recorder)
#define READER(name) static void name(struct config_reader *reader, const yaml_node_t *node, void *target)

READER(read_enabled) { RECORDER->enabled = config_read_bool(reader, node); }
READER(read_events) {
  const unsigned before = reader->error_count;
  const uint64_t events = config_read_number(reader, node, FLIGHT_EVENTS_MIN, FLIGHT_EVENTS_MAX);
  if (reader->error_count == before && (events & (events - 1)) != 0)
    config_complain(reader, node, "a power of two is expected here, such as 4096");
  RECORDER->events = (uint32_t)events;
}
READER(read_sample) { RECORDER->sample_ppm = config_read_share_ppm(reader, node); }

void config_read_recorder(struct config_reader *reader, const yaml_node_t *node, void *target) {
  static const struct config_key keys[] = {
      {"enabled", read_enabled}, {"events", read_events}, {"sample", read_sample}, {NULL, NULL}};
  config_read_mapping(reader, node, keys, target);
}

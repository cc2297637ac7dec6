#include "image_builder_internal.h"
#include "time_zone_internal.h"
#include <string.h>

uint16_t image_zone_of(struct image_builder *builder, struct image_text name) {
  static const struct image_text utc = {.at = "UTC", .length = 3};
  const struct image_text wanted = name.length ? name : utc;
  for (size_t i = 0; i < builder->zone_count; i++)
    if (builder->zones[i].name.length == wanted.length && memcmp(builder->zones[i].name.at, wanted.at, wanted.length) == 0)
      return (uint16_t)i;
  struct image_zone zone;
  const char *why = builder->zone_count == IMAGE_ZONES_MAX ? "is one time zone too many" : NULL;
  if (!why) why = time_zone_read(wanted, builder->region, &zone);
  if (why) {
    RULE_COMPLAIN(builder, "rule `%s`: `%.*s` %s", builder->rule->definition.name, (int)wanted.length, wanted.at, why);
    return 0;
  }
  builder->zones = growing_list_reserve(builder->zones, builder->zone_count, &builder->zone_capacity, sizeof *builder->zones);
  builder->zones[builder->zone_count] = zone;
  return (uint16_t)builder->zone_count++;
}

void image_zones_finish(struct image_builder *builder) {
  struct image_zone *zones = region_take(builder->region, builder->zone_count * sizeof *zones);
  if (builder->zone_count) memcpy(zones, builder->zones, builder->zone_count * sizeof *zones);
  builder->compiled->image.zones = zones;
  builder->compiled->image.zone_count = (uint32_t)builder->zone_count;
}

#include "calendar.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define KNOWN 4096u

static struct tm fields_at(time_t at, long offset) {
  const time_t moved = at + offset;
  struct tm fields;
  gmtime_r(&moved, &fields);
  return fields;
}

static long fixed_offset(const char *zone) {
  const long hours = strtol(zone + 1, NULL, 10), minutes = strtol(zone + 4, NULL, 10);
  return (zone[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

static long zone_offset(time_t at, const char *zone) {
  static const char *set;
  struct tm fields;
  if (set != zone) {
    setenv("TZ", zone, 1);
    tzset();
    set = zone;
  }
  localtime_r(&at, &fields);
  return fields.tm_gmtoff;
}

/* Changing the C library's zone reads a file, so answers are kept: clocks change at full quarters of an hour. */
static long named_offset(time_t at, const char *zone) {
  static struct {
    const char *zone;
    time_t quarter;
    long offset;
  } known[KNOWN];
  const time_t quarter = at / 900;
  const size_t slot = ((size_t)quarter * 31 + (size_t)(unsigned char)zone[0] * 7 + strlen(zone)) % KNOWN;
  if (known[slot].zone != zone || known[slot].quarter != quarter) {
    known[slot].zone = zone;
    known[slot].quarter = quarter;
    known[slot].offset = zone_offset(at, zone);
  }
  return known[slot].offset;
}

static struct tm local(uint64_t at_ns, const char *zone) {
  const time_t at = (time_t)(at_ns / SECOND);
  if (!zone) return fields_at(at, 0);
  return fields_at(at, zone[0] == '+' || zone[0] == '-' ? fixed_offset(zone) : named_offset(at, zone));
}

int64_t calendar_time_of_day(uint64_t at_ns, const char *zone) {
  const struct tm fields = local(at_ns, zone);
  return ((fields.tm_hour * 60 + fields.tm_min) * INT64_C(60) + fields.tm_sec) * (int64_t)SECOND + (int64_t)(at_ns % SECOND);
}

const char *calendar_weekday(uint64_t at_ns, const char *zone) {
  static const char *const names[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};
  return names[local(at_ns, zone).tm_wday];
}

/* TZif files, RFC 9636, and the TZ string at their end that goes on where their table stops. */
#include "posix_zone_internal.h"
#include "time_zone_internal.h"
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONEINFO "/usr/share/zoneinfo/"
#define NAME_BYTES_MAX 64u
#define FILE_BYTES_MAX 65536u
#define HEADER_BYTES 44u

struct zone_file {
  uint8_t bytes[FILE_BYTES_MAX];
  size_t length;
};

struct header {
  uint8_t version;
  uint32_t utc_flags, standard_flags, leaps, times, types, characters;
};

static uint32_t read_32(const uint8_t *at) {
  uint32_t number;
  memcpy(&number, at, sizeof number);
  return be32toh(number);
}

static uint64_t read_64(const uint8_t *at) {
  uint64_t number;
  memcpy(&number, at, sizeof number);
  return be64toh(number);
}

static bool read_header(const struct zone_file *file, size_t at, struct header *header) {
  if (at + HEADER_BYTES > file->length || memcmp(file->bytes + at, "TZif", 4) != 0) return false;
  const uint8_t *counts = file->bytes + at + 20;
  *header = (struct header){.version = file->bytes[at + 4],
                            .utc_flags = read_32(counts),
                            .standard_flags = read_32(counts + 4),
                            .leaps = read_32(counts + 8),
                            .times = read_32(counts + 12),
                            .types = read_32(counts + 16),
                            .characters = read_32(counts + 20)};
  return header->times <= IMAGE_ZONE_CHANGES_MAX && header->types >= 1 && header->types <= 256 && header->leaps <= 256 &&
         header->utc_flags <= 256 && header->standard_flags <= 256 && header->characters <= 4096;
}

static size_t data_bytes(const struct header *header, size_t time_bytes) {
  return header->times * (time_bytes + 1) + header->types * 6u + header->characters + header->leaps * (time_bytes + 4) +
         header->standard_flags + header->utc_flags;
}

struct change_list {
  struct image_zone_change items[IMAGE_ZONE_CHANGES_MAX];
  uint32_t count;
};

static bool add_change(void *context, int64_t from_s, int32_t offset_s) {
  struct change_list *list = context;
  if (list->count > 0 && (list->items[list->count - 1].from_s >= from_s || list->items[list->count - 1].offset_s == offset_s))
    return true;
  if (list->count == IMAGE_ZONE_CHANGES_MAX || offset_s < -ZONE_OFFSET_MAX_S || offset_s > ZONE_OFFSET_MAX_S) return false;
  list->items[list->count++] = (struct image_zone_change){.from_s = from_s, .offset_s = offset_s};
  return true;
}

/* The data block of 64-bit times at `at`. */
static bool read_changes(const struct zone_file *file, size_t at, const struct header *header, struct change_list *list) {
  const uint8_t *times = file->bytes + at, *indexes = times + (size_t)header->times * 8, *types = indexes + header->times;
  if (!add_change(list, INT64_MIN, (int32_t)read_32(types))) return false;
  for (uint32_t i = 0; i < header->times; i++) {
    if (indexes[i] >= header->types) return false;
    if (!add_change(list, (int64_t)read_64(times + (size_t)i * 8), (int32_t)read_32(types + (size_t)indexes[i] * 6)))
      return false;
  }
  return true;
}

static bool read_zone(const struct zone_file *file, struct change_list *list) {
  struct header header;
  char footer[128];
  if (!read_header(file, 0, &header) || header.version < '2') return false;
  size_t at = HEADER_BYTES + data_bytes(&header, 4);
  /* Leap seconds would make a day 86,401 s long here and nowhere else. */
  if (!read_header(file, at, &header) || header.leaps != 0) return false;
  at += HEADER_BYTES;
  const size_t end = at + data_bytes(&header, 8);
  if (end > file->length || !read_changes(file, at, &header, list)) return false;
  const uint8_t *text = file->bytes + end;
  const size_t left = file->length - end;
  const uint8_t *closing = left > 1 && text[0] == '\n' ? memchr(text + 1, '\n', left - 1) : NULL;
  if (!closing || (size_t)(closing - text) > sizeof footer) return false;
  const size_t length = (size_t)(closing - text) - 1;
  memcpy(footer, text + 1, length);
  footer[length] = '\0';
  return length == 0 || posix_zone_changes(footer, add_change, list);
}

static bool plain_name(struct image_text name) {
  if (name.length == 0 || name.length > NAME_BYTES_MAX || name.at[0] == '/') return false;
  for (uint32_t i = 0; i < name.length; i++) {
    const char character = name.at[i];
    const bool letter = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
                        (character >= '0' && character <= '9') || character == '_' || character == '+' || character == '-';
    if (!letter && character != '/') return false;
  }
  return true;
}

static int open_zone(struct image_text name) {
  char path[sizeof ZONEINFO + NAME_BYTES_MAX];
  snprintf(path, sizeof path, "%s%.*s", ZONEINFO, (int)name.length, name.at);
  return open(path, O_RDONLY | O_CLOEXEC);
}

static bool load(struct image_text name, struct zone_file *file) {
  const int descriptor = open_zone(name);
  ssize_t got;
  if (descriptor < 0) return false;
  while (file->length < sizeof file->bytes &&
         (got = read(descriptor, file->bytes + file->length, sizeof file->bytes - file->length)) > 0)
    file->length += (size_t)got;
  close(descriptor);
  return file->length > 0;
}

/* `+HH:MM` and `-HH:MM`; also `UTC` and `Z`. */
static bool fixed_offset(struct image_text name, int32_t *offset_s) {
  *offset_s = 0;
  if ((name.length == 3 && memcmp(name.at, "UTC", 3) == 0) || (name.length == 1 && name.at[0] == 'Z')) return true;
  if (name.length != 6 || (name.at[0] != '+' && name.at[0] != '-') || name.at[3] != ':') return false;
  int32_t minutes[2] = {0};
  for (unsigned i = 1; i < 6; i++) {
    if (i == 3) continue;
    if (name.at[i] < '0' || name.at[i] > '9') return false;
    minutes[i > 3] = minutes[i > 3] * 10 + (name.at[i] - '0');
  }
  if (minutes[0] > 14 || minutes[1] > 59) return false;
  *offset_s = (minutes[0] * 3600 + minutes[1] * 60) * (name.at[0] == '-' ? -1 : 1);
  return true;
}

const char *time_zone_check(struct image_text name) {
  int32_t offset_s;
  struct stat status;
  if (fixed_offset(name, &offset_s)) return NULL;
  if (!plain_name(name)) return "is no time zone: give an offset as in \"+02:00\", or a name as in Europe/Berlin";
  const int descriptor = open_zone(name);
  const bool file = descriptor >= 0 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  if (descriptor >= 0) close(descriptor);
  return file ? NULL : "is not among the time zones of this system (" ZONEINFO ")";
}

const char *time_zone_read(struct image_text name, struct region *region, struct image_zone *zone) {
  struct region scratch = {0};
  struct change_list *list = region_take(&scratch, sizeof *list);
  struct zone_file *file = region_take(&scratch, sizeof *file);
  int32_t offset_s;
  const char *why = time_zone_check(name);
  if (!why && fixed_offset(name, &offset_s))
    add_change(list, INT64_MIN, offset_s);
  else if (!why && (!load(name, file) || !read_zone(file, list)))
    why = "has no file in " ZONEINFO " that can be read";
  if (!why) {
    struct image_zone_change *changes = region_take(region, list->count * sizeof *changes);
    memcpy(changes, list->items, list->count * sizeof *changes);
    *zone = (struct image_zone){
        .name = region_image_text(region, name.at, name.length), .changes = changes, .change_count = list->count};
  }
  region_free(&scratch);
  return why;
}

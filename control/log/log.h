#pragma once
/* One line on stderr for each event: `LEVEL area: text`, rate-limited per area (20 a second, then one line with the count that
 * was suppressed). Never called from a shard. Threads: any other; it locks. */
#include <stdarg.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
void log_line(enum log_level level, const char *area, const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_line_va(enum log_level level, const char *area, const char *format, va_list arguments);

/* Lines suppressed since start. */
uint64_t log_suppressed(void);

#define log_error(area, ...) log_line(LOG_LEVEL_ERROR, area, __VA_ARGS__)
#define log_warning(area, ...) log_line(LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_info(area, ...) log_line(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) log_line(LOG_LEVEL_DEBUG, area, __VA_ARGS__)

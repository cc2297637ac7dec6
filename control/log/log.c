#include "log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define AREAS_MAX 16
#define LINES_A_SECOND 20u

struct area_budget {
  char area[24];
  int64_t second;
  unsigned lines, suppressed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct area_budget budgets[AREAS_MAX]; /* under lock */
static enum log_level threshold = LOG_LEVEL_INFO;
static _Atomic uint64_t suppressed_total;

static const char *const names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};

static struct area_budget *budget_of(const char *area) {
  for (unsigned i = 0; i < AREAS_MAX - 1; i++) {
    if (budgets[i].area[0] == '\0') snprintf(budgets[i].area, sizeof budgets[i].area, "%.23s", area);
    if (strncmp(budgets[i].area, area, sizeof budgets[i].area - 1) == 0) return &budgets[i];
  }
  return &budgets[AREAS_MAX - 1]; /* shared by all further areas */
}

/* True when the line may be written; says first how many were not in the second before. */
static bool admit(const char *area) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  struct area_budget *budget = budget_of(area);
  if (budget->second != now.tv_sec) {
    if (budget->suppressed) fprintf(stderr, "WARNING %s: %u more lines were suppressed\n", area, budget->suppressed);
    budget->second = now.tv_sec;
    budget->lines = budget->suppressed = 0;
  }
  if (budget->lines++ < LINES_A_SECOND) return true;
  budget->suppressed++;
  atomic_fetch_add_explicit(&suppressed_total, 1, memory_order_relaxed);
  return false;
}

void log_set_level(enum log_level level) {
  pthread_mutex_lock(&lock);
  threshold = level;
  pthread_mutex_unlock(&lock);
}

void log_line_va(enum log_level level, const char *area, const char *format, va_list arguments) {
  char text[1024];
  vsnprintf(text, sizeof text, format, arguments);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' '; /* one event, one line */
  pthread_mutex_lock(&lock);
  if (level <= threshold && admit(area)) fprintf(stderr, "%s %s: %s\n", names[level], area, text);
  pthread_mutex_unlock(&lock);
}

void log_line(enum log_level level, const char *area, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  log_line_va(level, area, format, arguments);
  va_end(arguments);
}

uint64_t log_suppressed(void) { return atomic_load_explicit(&suppressed_total, memory_order_relaxed); }

#include "posix_zone_internal.h"
#include <stddef.h>
#include <string.h>

#define FIRST_YEAR 1970
#define LAST_YEAR 2100
#define S_PER_DAY 86400

enum day_form { DAY_OF_WEEK, DAY_FROM_ONE, DAY_FROM_ZERO }; /* Mm.w.d, Jn without leap days, n with them */

struct day_rule {
  enum day_form form;
  int month, week, day;
  int32_t time_s; /* local */
};

static bool digit(char character) { return character >= '0' && character <= '9'; }

static bool read_number(const char **at, int most, int *number) {
  *number = 0;
  if (!digit(**at)) return false;
  while (digit(**at) && *number <= most) *number = *number * 10 + (*(*at)++ - '0');
  return *number <= most;
}

/* [+|-]hh[:mm[:ss]] */
static bool read_time(const char **at, int32_t *seconds) {
  const int sign = **at == '-' ? -1 : 1;
  int parts[3] = {0};
  if (**at == '-' || **at == '+') (*at)++;
  if (!read_number(at, 167, &parts[0])) return false;
  for (unsigned i = 1; i < 3 && **at == ':'; i++) {
    (*at)++;
    if (!read_number(at, 59, &parts[i])) return false;
  }
  *seconds = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
  return true;
}

/* Letters, or anything in < >. */
static bool skip_name(const char **at) {
  const char *const start = *at;
  if (**at == '<') {
    const char *closing = strchr(*at, '>');
    if (!closing) return false;
    *at = closing + 1;
    return true;
  }
  while ((**at >= 'a' && **at <= 'z') || (**at >= 'A' && **at <= 'Z')) (*at)++;
  return *at - start >= 3;
}

static bool read_day(const char **at, struct day_rule *rule) {
  *rule = (struct day_rule){.form = DAY_FROM_ZERO, .time_s = 2 * 3600};
  bool good;
  if (**at == 'M') {
    rule->form = DAY_OF_WEEK;
    (*at)++;
    good = read_number(at, 12, &rule->month) && rule->month >= 1 && *(*at)++ == '.' && read_number(at, 5, &rule->week) &&
           rule->week >= 1 && *(*at)++ == '.' && read_number(at, 6, &rule->day);
  } else {
    if (**at == 'J') {
      rule->form = DAY_FROM_ONE;
      (*at)++;
    }
    good = read_number(at, 365, &rule->day) && (rule->form == DAY_FROM_ZERO || rule->day >= 1);
  }
  if (good && **at == '/') {
    (*at)++;
    good = read_time(at, &rule->time_s);
  }
  return good;
}

static bool leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int days_in(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[month - 1] + (month == 2 && leap(year));
}

static int64_t days_before(int year) {
  int64_t days = 0;
  for (int each = 1970; each < year; each++) days += leap(each) ? 366 : 365;
  return days;
}

/* Local seconds since 1970 of the change in a year. */
static int64_t change_in(const struct day_rule *rule, int year) {
  int64_t day = days_before(year);
  if (rule->form == DAY_FROM_ZERO) {
    day += rule->day;
  } else if (rule->form == DAY_FROM_ONE) {
    day += rule->day - 1 + (leap(year) && rule->day >= 60);
  } else {
    for (int month = 1; month < rule->month; month++) day += days_in(year, month);
    const int first_weekday = (int)((day + 4) % 7); /* of the month; Sunday is 0, and 1970 began on a Thursday */
    int of_month = (rule->day - first_weekday + 7) % 7 + (rule->week - 1) * 7;
    if (of_month >= days_in(year, rule->month)) of_month -= 7;
    day += of_month;
  }
  return day * S_PER_DAY + rule->time_s;
}

bool posix_zone_changes(const char *text, bool (*add)(void *context, int64_t from_s, int32_t offset_s), void *context) {
  const char *at = text;
  int32_t west_s, summer_west_s;
  struct day_rule to_summer, to_winter;
  if (!skip_name(&at) || !read_time(&at, &west_s)) return false;
  if (*at == '\0') return true; /* no more changes */
  if (!skip_name(&at)) return false;
  summer_west_s = west_s - 3600;
  if (*at != ',' && !read_time(&at, &summer_west_s)) return false;
  if (*at++ != ',' || !read_day(&at, &to_summer) || *at++ != ',' || !read_day(&at, &to_winter) || *at) return false;
  for (int year = FIRST_YEAR; year <= LAST_YEAR; year++) {
    const int64_t summer_s = change_in(&to_summer, year) + west_s, winter_s = change_in(&to_winter, year) + summer_west_s;
    const bool summer_first = summer_s < winter_s;
    if (!add(context, summer_first ? summer_s : winter_s, summer_first ? -summer_west_s : -west_s)) return false;
    if (!add(context, summer_first ? winter_s : summer_s, summer_first ? -west_s : -summer_west_s)) return false;
  }
  return true;
}

#pragma once
/* Memory of one case: taken piece by piece, given back all at once. Aborts when there is none. */
#include <stddef.h>

struct yard;
struct yard *yard_open(void);
void *yard_take(struct yard *yard, size_t bytes); /* zeroed */
void yard_clear(struct yard *yard);
void yard_close(struct yard *yard);
#define YARD_NEW(yard, type) ((type *)yard_take((yard), sizeof(type)))
#define YARD_ARRAY(yard, type, count) ((type *)yard_take((yard), sizeof(type) * (size_t)(count)))

#pragma once
/* The event face: what a decoder fills and the engine judges. A batch holds up to 64 events of one kind; the attributes that
 * some rule reads are columns, known from the image. Text points into the request body (or the decoder's scratch) and must
 * live until the batch is evaluated. Threads: one shard. */
#include <stdbool.h>
#include <stdint.h>

#define EVENT_BATCH_ROWS 64

enum event_kind { EVENT_SPAN, EVENT_WEBHOOK, EVENT_ALERT, EVENT_KINDS };

enum value_type {
  VALUE_NULL, /* absent */
  VALUE_BOOL,
  VALUE_INTEGER,
  VALUE_DOUBLE,
  VALUE_STRING,
  VALUE_OTHER, /* present, but an array, map or bytes: equal to nothing */
};

struct value {
  union {
    bool boolean;
    int64_t integer;
    double real;
    const char *text; /* not NUL-terminated */
  };
  uint32_t length; /* of text */
  enum value_type type;
};

struct event_text {
  const char *at; /* NULL: null */
  uint32_t length;
};

enum span_kind {
  SPAN_KIND_UNSPECIFIED,
  SPAN_KIND_INTERNAL,
  SPAN_KIND_SERVER,
  SPAN_KIND_CLIENT,
  SPAN_KIND_PRODUCER,
  SPAN_KIND_CONSUMER
};
enum span_status { SPAN_STATUS_UNSET, SPAN_STATUS_OK, SPAN_STATUS_ERROR };

/* What every event has beside its columns. For a webhook: name = source, times = receipt. For an alert: name = the alertname
 * label, status = firing (true when not resolved), service = the `service` label. */
struct event_fields {
  uint8_t trace_id[16]; /* spans */
  uint8_t span_id[8];
  uint8_t parent_id[8];
  bool has_parent;
  bool firing;    /* alerts */
  uint8_t kind;   /* enum span_kind */
  uint8_t status; /* enum span_status */
  struct event_text name;
  struct event_text service; /* null when the resource has no service.name */
  uint64_t start_ns, end_ns; /* Unix; an end before start gives a duration of 0 */
};

enum column_scope {
  SCOPE_INTRINSIC,
  SCOPE_SPAN,
  SCOPE_RESOURCE,
  SCOPE_BODY,
  SCOPE_LABEL,
  SCOPE_ANNOTATION,
  SCOPE_COMPUTED, /* made from other columns of the batch, never decoded */
};

enum intrinsic {
  INTRINSIC_NAME,
  INTRINSIC_SERVICE,
  INTRINSIC_KIND,     /* text: unspecified internal server client producer consumer */
  INTRINSIC_STATUS,   /* text: unset ok error; alerts: firing resolved */
  INTRINSIC_DURATION, /* integer nanoseconds */
  INTRINSIC_ROOT,     /* bool: no parent */
  INTRINSIC_TRACE_ID, /* text: lower-case hex */
  INTRINSIC_SPAN_ID,
  INTRINSIC_PARENT_ID, /* null for a root */
  INTRINSIC_START,     /* integer nanoseconds, Unix; null beyond the year 2262 */
  INTRINSIC_END,
  INTRINSIC_TIME_OF_DAY, /* of start in the column's time zone: integer nanoseconds since midnight */
  INTRINSIC_WEEKDAY,     /* text: monday to sunday */
  INTRINSICS,
};

struct rule_image;

/* Of the values of one body path with `[*]`, and of all of a batch. */
#define EVENT_ELEMENTS_MAX 1024u
#define BATCH_ELEMENTS_MAX 16384u

struct event_element { /* a value of a path with `[*]` */
  struct value value;
  uint32_t interned;
  uint32_t before; /* the one before it of its slot; BATCH_ELEMENTS_MAX: none */
  uint16_t slot, ordinal;
  uint8_t row;
};

/* Created by the engine; a decoder uses only the functions below. */
struct event_batch {
  const struct rule_image *image; /* of the current generation; decoders ask it for columns */
  enum event_kind kind;
  uint32_t count;
  struct event_fields fields[EVENT_BATCH_ROWS];
  uint64_t *present;     /* [slot]: the rows whose value is not null; of the others the cells below mean nothing */
  struct value *columns; /* [slot * EVENT_BATCH_ROWS + row] */
  uint32_t *interned;    /* same shape, of columns with a dictionary: id of the rule constant, 0 when not one */
  uint32_t column_capacity;
  struct event_element *elements; /* BATCH_ELEMENTS_MAX; NULL: of this kind of event there are none */
  uint32_t *last_element;         /* by slot; valid where the slot is present */
  uint32_t element_count;
  uint64_t elements_left_out; /* values that found no room since the engine last asked: no rule judges those */
};

/* Adds a row: fields zeroed, all columns of the kind null. The batch must not be full. */
uint32_t event_batch_add(struct event_batch *batch);
/* Takes the last row back (its event proved bad). */
void event_batch_remove_last(struct event_batch *batch);
static inline bool event_batch_full(const struct event_batch *batch) { return batch->count == EVENT_BATCH_ROWS; }
/* One bit for each of its rows. */
static inline uint64_t event_batch_rows(const struct event_batch *batch) {
  return event_batch_full(batch) ? ~0ull : (1ull << batch->count) - 1;
}
/* The value of a cell; a null when there is none. */
const struct value *event_batch_value(const struct event_batch *batch, uint32_t row, uint32_t slot);
/* The column slot that holds this attribute for this kind of event, or -1 when no rule reads it. */
int event_column_find(const struct rule_image *image, enum event_kind kind, enum column_scope scope, const char *key,
                      uint32_t key_length);
/* Sets a column; the last call for a (slot, row) wins. Interns strings. */
void event_batch_set(struct event_batch *batch, uint32_t row, int slot, const struct value *value);
/* The same in two steps, for a value that all rows from one on share. */
uint32_t event_batch_intern(const struct event_batch *batch, int slot, const struct value *value);
void event_batch_set_run(struct event_batch *batch, uint32_t first_row, int slot, const struct value *value, uint32_t interned);

/* JSON body paths (`body.order.amount`, `body.items[0].sku`, `body.items[*].sku`): walk from the root (0) by member name or by
 * element; -1 when no rule reads below. */
int event_path_child(const struct rule_image *image, enum event_kind kind, int node, const char *key, uint32_t key_length);
int event_path_element(const struct rule_image *image, enum event_kind kind, int node, uint32_t element);
/* Whether a rule reads an element of the array here. */
bool event_path_has_elements(const struct rule_image *image, enum event_kind kind, int node);
/* The column of the first path that ends here, or -1. */
int event_path_slot(const struct rule_image *image, enum event_kind kind, int node);
/* Sets the columns of all paths that end here; one of a path with `[*]` gains a value. */
void event_path_set(struct event_batch *batch, uint32_t row, int node, const struct value *value);

/* Where a decoder hands over full (and the last) batches. `evaluate` empties the batch; false: no room for what it raised,
 * stop decoding, the request will be rolled back. */
struct event_sink {
  void *context;
  bool (*evaluate)(void *context, struct event_batch *batch);
};

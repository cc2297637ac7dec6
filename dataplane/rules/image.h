#pragma once
/* The immutable rule image: what control/rules compiles and shards evaluate. Published by generation, never changed after;
 * freed by control when every shard has adopted a later one. All pointers are into memory the image owns.
 *
 * Shape: for each kind of event a list of columns, a list of distinct predicates over one column each (evaluated at most
 * once a batch into a 64-bit row mask), and boolean programs over those masks. Trace rules are programs over selectors (span
 * programs), whose "some span of this trace matched" is kept in the trace table. */
#include "event.h"
#include "image_facts.h"
#include "text_print.h"
#include <hs/hs.h>

#define IMAGE_SELECTORS_MAX 16384u
#define IMAGE_TRACE_RULES_MAX 16384u
#define IMAGE_RULE_IDENTITIES_MAX 0x7fffffffu
#define IMAGE_PROGRAM_DEPTH_MAX 64 /* operand stack */
#define IMAGE_MESSAGE_BYTES_MAX 1024u
#define IMAGE_SHARDS_MAX 64
#define IMAGE_WINDOW_KEYS_MAX 8 /* references that one window groups by */
#define IMAGE_RULES_MAX 100000u
/* A rule that comes never takes the slot of one that has just gone: what shards still count for that one is not its. */
#define IMAGE_MATCH_SLOTS (2u * IMAGE_RULES_MAX)

enum severity { SEVERITY_INFO, SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_CRITICAL };
enum rule_on { RULE_ON_SPAN, RULE_ON_TRACE, RULE_ON_WEBHOOK, RULE_ON_ALERT };

enum predicate_operation {
  PREDICATE_EQUAL,
  PREDICATE_NOT_EQUAL,
  PREDICATE_LESS,
  PREDICATE_LESS_OR_EQUAL,
  PREDICATE_GREATER,
  PREDICATE_GREATER_OR_EQUAL,
  PREDICATE_MATCHES,     /* =~, by the column's Hyperscan database, id = predicate index */
  PREDICATE_NOT_MATCHES, /* !~: a valid string that does not match; null and other types are false */
  PREDICATE_IN,          /* any of list */
  PREDICATE_CONTAINS,    /* substring, case-sensitive */
  PREDICATE_STARTS_WITH,
  PREDICATE_ENDS_WITH,
  PREDICATE_IN_NETWORKS, /* text that is an address inside any of networks */
  PREDICATE_EXISTS,      /* not null */
  PREDICATE_TRUE,        /* a bare boolean reference */
  PREDICATE_CONSTANT,    /* `true` or `false` in an expression; constant.boolean, column unused */
};

enum column_computation {
  COMPUTE_ADD,
  COMPUTE_SUBTRACT,
  COMPUTE_MULTIPLY,
  COMPUTE_DIVIDE,
  COMPUTE_REMAINDER,
  COMPUTE_NEGATE, /* of the right operand */
};

struct image_text {
  const char *at;
  uint32_t length;
};

#define IMAGE_NO_COLUMN 0xffffu
struct image_operand {
  uint16_t column;       /* lower than the column that is made of it; IMAGE_NO_COLUMN: the constant */
  struct value constant; /* a number */
};

struct image_computation {
  enum column_computation computation;
  struct image_operand left, right; /* COMPUTE_NEGATE: the right only */
};

struct image_column {
  enum column_scope scope;
  enum intrinsic intrinsic;    /* SCOPE_INTRINSIC */
  bool every;                  /* SCOPE_BODY: a path with `[*]`; a comparison holds when it does of one of its values */
  uint16_t zone;               /* INTRINSIC_TIME_OF_DAY and _WEEKDAY: index in the image's zones */
  uint32_t identity;           /* of the reference: the same in every generation, never that of another */
  struct image_text key;       /* attribute key; for SCOPE_BODY the dotted path */
  struct image_text spelling;  /* with the time zone where it has one: what tells it from other columns */
  struct image_text reference; /* as spelled canonically in rules: span.http.method; the key in a violation's attributes */
  /* Interned string constants compared by == != in: open addressing, power-of-two slots, by the print's hash. Most texts are no
   * constant: those are told by `marks`, one bit a hash, slots * DICTIONARY_MARKS of them. */
  const struct image_constant *dictionary;
  const uint64_t *marks;
  uint32_t dictionary_slots;                   /* 0: none */
  uint32_t constants;                          /* in it: ids 1 to this */
  const struct image_computation *computation; /* SCOPE_COMPUTED, else NULL */
  hs_database_t *patterns;                     /* NULL: no regular expression on this column; block mode, HS_FLAG_UTF8 */
  hs_database_t *literals;                     /* of the `contains` on it that are scanned for; NULL: none */
};

struct image_constant {
  struct image_text text;
  struct text_print print;
  uint32_t id; /* 1.., 0: empty slot */
};

/* IPv4 addresses are mapped into IPv6 (::ffff:0:0/96): a prefix of 96 bits or more there is a network of them. */
#define NETWORK_ADDRESS_BYTES 16u
struct image_network {
  uint8_t address[NETWORK_ADDRESS_BYTES]; /* zero behind the prefix */
  uint8_t prefix_bits;                    /* to 128 */
};

struct image_predicate {
  uint16_t column;
  uint8_t operation; /* enum predicate_operation */
  bool scanned;      /* CONTAINS: the constant is in the column's literals, id = predicate index */
  uint32_t interned; /* id of a string constant for EQUAL and NOT_EQUAL */
  struct value constant;
  const struct value *list; /* IN; string members' interned ids are in list_interned */
  const uint32_t *list_interned;
  const struct image_network *networks; /* IN_NETWORKS; list_count of them */
  uint32_t list_count;
  bool between; /* the right side is the column `other`, not a constant: equality, order, CONTAINS, STARTS_WITH, ENDS_WITH */
  uint16_t other;
};

static inline bool predicate_is_scanned(const struct image_predicate *predicate) {
  return predicate->scanned || predicate->operation == PREDICATE_MATCHES || predicate->operation == PREDICATE_NOT_MATCHES;
}

#define DICTIONARY_MARKS 8u
static inline uint32_t dictionary_mark(const struct image_column *column, uint32_t hash) {
  return hash >> 8 & (column->dictionary_slots * DICTIONARY_MARKS - 1);
}

/* Postfix over 64-bit masks: an operand index (predicate; in trace programs selector bit, or PROGRAM_FACT and a fact) or one of
 * these. */
#define PROGRAM_AND 0xfffffffdu
#define PROGRAM_OR 0xfffffffeu
#define PROGRAM_NOT 0xffffffffu

struct image_program {
  const uint32_t *operations;
  uint32_t count;   /* 0: absent */
  bool conjunction; /* what is alone on the stack is joined by AND with all that follows: nothing, once it is nothing */
};

/* Which programs of a list can be true of any row of a batch, so that only those are run. A program outside `always` has a key,
 * chosen by control/rules: comparisons of which at least one holds of every row that the program is true of. A program may stand
 * at several places. */
#define PREDICATE_NONE UINT32_MAX
#define IMAGE_FEW_CONSTANTS 16u /* a column of no more may be searched for each of them */
struct image_limit {
  struct value constant; /* an integer or a double, never NaN */
  uint32_t program;
};

struct image_number {    /* equality with a number, by what identifies it (value_identity) */
  struct value constant; /* VALUE_NULL: an empty slot */
  uint32_t first, end;   /* in the key's programs */
};

struct image_key { /* the keys that are about one column */
  uint16_t column;
  /* Equality with a string, by interned id 1..constants: programs[first[id - 1]] up to, without, programs[first[id]]. */
  uint32_t constants; /* 0: none; else those of the column's dictionary */
  const uint32_t *first;
  const uint32_t *equals;             /* by id - 1: the predicate that is equality with it alone, or PREDICATE_NONE */
  const struct image_number *numbers; /* open addressing, hash = image_number_hash */
  uint32_t number_slots;              /* power of two; 0: none */
  const uint32_t *programs;           /* of both */
  uint32_t program_count;
  const struct image_limit *above; /* > and >=, lowest first */
  const struct image_limit *below; /* < and <=, highest first */
  uint32_t above_count, below_count;
  const uint32_t *present; /* programs that hold of no row in which the column is null */
  uint32_t present_count;
  bool patterns, literals; /* programs are keyed by matches of the column's databases */
};

struct image_candidates {
  const struct image_key *keys; /* by column, ascending */
  uint32_t key_count;
  /* By scanned predicate that has a match: programs_of_matches[first_of_match[predicate]] up to, without, [.. predicate + 1]. */
  const uint32_t *first_of_match; /* NULL: none; else one more than the kind has predicates */
  const uint32_t *programs_of_matches;
  uint32_t match_program_count;
  const uint64_t *always; /* one bit a program; NULL: too few programs for an index to pay, all are run */
};

struct image_path_edge {
  struct image_text key; /* of a member; of an element empty */
  uint32_t element;
  int32_t node; /* higher than the one it leads from */
};

/* Automaton of SCOPE_BODY paths; node 0 is the root. */
struct image_path_node {
  uint32_t first_member, member_count;   /* in path_edges */
  uint32_t first_element, element_count; /* those that some path names */
  int32_t every;                         /* where all other elements lead; -1: nowhere */
  uint32_t first_slot, slot_count;       /* in path_slots: the paths that end here */
};

struct image_message_part {
  struct image_text literal; /* when slot is IMAGE_MESSAGE_LITERAL */
  int32_t slot;              /* column whose value is printed; null prints empty */
};
#define IMAGE_MESSAGE_LITERAL (-1)
#define IMAGE_MESSAGE_VALUE (-2) /* of a window rule: what its function gave */
#define IMAGE_MESSAGE_COUNT (-3) /* and the events in the window */

enum { MENTION_WHEN = 1, MENTION_NEVER = 2, MENTION_ALWAYS = 4 };
struct image_mention { /* a selector of a trace rule */
  uint16_t bit;
  uint8_t in; /* MENTION_*, joined */
};

struct image_rule {
  struct image_text name;
  uint32_t version;
  enum severity severity;
  enum rule_on on;
  bool shadow;                    /* matched and counted, never published */
  uint32_t match_slot;            /* where its matches are counted: the same in every generation that has a rule of this name */
  struct image_program condition; /* span, webhook, alert rules: over predicates of that kind */
  const struct image_message_part *message;
  uint32_t message_parts;
  const uint16_t *attributes; /* columns (condition and message) recorded in a violation */
  uint32_t attribute_count;
  /* Trace rules: programs over selector bits. `always` or `never` may be absent, not both. */
  struct image_program when, always, never;
  bool monotone_never;                   /* when && never has no negation: fires the moment it is known */
  const struct image_mention *selectors; /* each once, lowest bit first; span_ids come from those of when and never */
  uint32_t selector_count;
  uint64_t since_generation; /* the newest of its selectors; traces opened earlier are not judged by it */
  uint32_t trace_rule;       /* index among trace rules */
  uint32_t identity;         /* 1..: kept over generations by a rule that keeps its version, never that of another */
  uint32_t window;           /* one more than its index in windows; 0: what it matches is a violation */
  uint64_t within_ns;        /* of `within:`; 0: without */
  const uint16_t *anchors;   /* with it: the selectors whose earliest span it counts from, lowest first */
  uint32_t anchor_count;
  bool needs_story; /* it is judged by the spans of the trace: it has facts or `within` */
  bool matures;     /* its never may hold once some span was not followed in time */
};

/* What is judged over all events that meet a rule's condition and have one key, by the shard that owns the key. */
enum window_function {
  WINDOW_COUNT,
  WINDOW_RATE, /* events a second */
  WINDOW_SUM,
  WINDOW_AVERAGE,
  WINDOW_MINIMUM,
  WINDOW_MAXIMUM,
  WINDOW_QUANTILE,
  WINDOW_DISTINCT,
  WINDOW_ABSENT, /* no event for over_ns */
  WINDOW_EACH,   /* every event, which repeat_after_ns then silences: `suppress` */
  WINDOW_FUNCTIONS
};
/* A window moves in so many steps; of quantiles in fewer, each of which holds a histogram. */
#define IMAGE_WINDOW_STEPS 60u
#define IMAGE_WINDOW_QUANTILE_STEPS 12u
#define IMAGE_WINDOW_NO_COLUMN 0xffffu
#define IMAGE_WINDOW_NS_MAX (366ull * 86400 * 1000000000)

struct image_window {
  uint32_t identity; /* the same in every generation that has a rule of this name which judges the same */
  uint32_t rule;     /* index in the rules of its kind, or in the trace rules */
  enum event_kind kind;
  bool of_trace;
  enum window_function function;
  bool change;           /* COUNT, SUM, AVERAGE: this window's value divided by that of the one before */
  bool carries_event;    /* a violation is about the event that made it, which goes along to the owner */
  uint8_t comparison;    /* enum predicate_operation: EQUAL to GREATER_OR_EQUAL */
  struct value limit;    /* an integer or a double, not NaN */
  double quantile;       /* QUANTILE: above 0, below 1 */
  uint16_t value_column; /* SUM, AVERAGE, MINIMUM, MAXIMUM, QUANTILE, DISTINCT; else IMAGE_WINDOW_NO_COLUMN */
  uint16_t key_columns[IMAGE_WINDOW_KEYS_MAX];
  uint32_t key_count;
  uint64_t over_ns;
  uint32_t steps;                   /* of step_ns each */
  uint64_t step_ns;                 /* over_ns / steps, rounded up */
  uint64_t for_ns, repeat_after_ns; /* 0: none */
};

struct image_selector {
  struct image_program condition; /* over span predicates */
  uint32_t bit;                   /* stable across generations for the same canonical text */
  uint64_t since_generation;
};

/* Numbers by selector bit: those of one are numbers[first[bit]] up to, without, numbers[first[bit + 1]]. */
struct image_bit_list {
  const uint32_t *first; /* one more than there are bits; NULL: no numbers */
  const uint16_t *numbers;
  uint32_t count; /* of numbers */
};

struct image_rule_list {
  const uint16_t *rules;
  uint32_t count;
};

/* What is found from the selectors that were met, so that cost does not follow from how many rules there are. A key of a rule is
 * a set of its selectors of which one at least is met whenever the rule is broken; a rule without one is listed apart. */
struct image_trace_index {
  uint32_t bits;                  /* one more than the highest of a selector */
  const uint64_t *since;          /* by bit: since_generation of its selector; UINT64_MAX: no selector has it */
  const uint8_t *in;              /* by bit: where rules mention it, MENTION_* joined */
  struct image_bit_list mentions; /* rules with it in when or never */
  struct image_bit_list columns;  /* what messages and attributes of the rules with it in `when` read */
  struct image_bit_list complete; /* rules that it is a key of, when a trace is complete */
  struct image_bit_list never;    /* and for their never alone */
  struct image_rule_list complete_always, never_always; /* those without a key */
  const uint16_t *by_identity;                          /* every trace rule, lowest identity first */
};

struct image_kind {
  const struct image_column *columns;
  uint32_t column_count;
  const struct image_predicate *predicates;
  uint32_t predicate_count;
  const struct image_rule *rules; /* single-event rules of this kind */
  uint32_t rule_count;
  struct image_candidates candidates; /* by index in rules */
  const struct image_path_node *paths;
  const struct image_path_edge *path_edges;
  const uint16_t *path_slots;
  uint32_t path_count, path_edge_count, path_slot_count;
  /* Attribute lookup by (scope, key): open addressing over columns, 0xffff empty; hash = image_key_hash. */
  const uint16_t *lookup;
  uint32_t lookup_slots; /* power of two; 0: no attribute columns */
};

#define IMAGE_ZONES_MAX 1024u
#define IMAGE_ZONE_CHANGES_MAX 1024u
#define ZONE_OFFSET_MAX_S 93600 /* 26 hours, as RFC 9636 has it */

struct image_zone_change {
  int64_t from_s; /* Unix; of the first INT64_MIN */
  int32_t offset_s;
};

struct image_zone { /* a time zone of a rule */
  struct image_text name;
  const struct image_zone_change *changes; /* oldest first */
  uint32_t change_count;                   /* at least one */
};

struct rule_image {
  uint64_t generation; /* 1.., of 32 bits */
  uint8_t sha256[32];  /* of the canonical rule set text */
  struct image_kind kinds[EVENT_KINDS];
  const struct image_selector *selectors;
  uint32_t selector_count;
  struct image_candidates selector_candidates; /* by index in selectors; columns of EVENT_SPAN */
  const struct image_rule *trace_rules;        /* on: trace, columns of EVENT_SPAN */
  uint32_t trace_rule_count;
  struct image_story story;
  struct image_trace_index traces;
  const struct image_window *windows; /* by identity, ascending */
  uint32_t window_count;
  uint32_t rule_count;
  const struct image_zone *zones;
  uint32_t zone_count;
  hs_scratch_t *scratch[IMAGE_SHARDS_MAX]; /* one a shard, NULL when no pattern; cloned before publish */
};

/* Two values: -1, 0, 1; 2 when they cannot be ordered (NaN, different types). Exact across int64 and double. The order of
 * image_limit lists (value_order.c). */
int value_compare(const struct value *a, const struct value *b);
/* Arithmetic of rules: int64 with int64 stays one but for a division, which is of doubles; a double makes a double. Null when it
 * overflows 64 bits, divides by zero or an operand is no number (value_arithmetic.c). */
struct value value_compute(enum column_computation computation, const struct value *left, const struct value *right);
/* Equal numbers to one value: the integer, where one is equal. False for what equals no number. */
bool value_identity(const struct value *value, struct value *identity);

/* The address that is all of a text, IPv4 or IPv6 without a zone; false: it is none (address_text.c). */
bool address_read(const char *text, uint32_t length, uint8_t address[NETWORK_ADDRESS_BYTES]);
/* An IPv4 address, also a mapped one, is in no network of IPv6 addresses, ::/0 included. */
bool network_holds(const struct image_network *network, const uint8_t address[NETWORK_ADDRESS_BYTES]);

/* The hashes are part of the image format: compiler and engine share them (image.c). */
uint32_t image_key_hash(enum column_scope scope, const char *key, uint32_t length);
uint32_t image_number_hash(int64_t bits);

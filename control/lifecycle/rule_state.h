#pragma once
/* What may happen to one rule, as a table. A rule that is being changed still has its old version in force: whatever fails takes
 * it back to that, and one that was being created to nothing. Threads: the caller locks. */
#include <stdbool.h>

enum rule_state {
  RULE_NONEXISTENT,
  RULE_DRAFT,     /* a creation: its text has come */
  RULE_VALIDATED, /* the text is a good rule */
  RULE_COMPILED,  /* and the set with it makes an image */
  RULE_PERSISTED, /* recorded, and in force */
  RULE_UPDATING,  /* a new text has come, the old version is in force */
  RULE_DELETING,  /* still in force */
  RULE_STATES,
};

enum rule_event {
  RULE_EVENT_CREATE,
  RULE_EVENT_UPDATE,
  RULE_EVENT_DELETE,
  RULE_EVENT_VALIDATED,
  RULE_EVENT_COMPILED,
  RULE_EVENT_RECORDED, /* durable */
  RULE_EVENT_FAILED,
  RULE_EVENTS,
};

struct rule_machine {
  enum rule_state state;
  bool in_force; /* some version is */
};

/* 0, or what is wrong, and then nothing has changed: -EEXIST (a creation of what is there), -ENOENT (a change of what is not),
 * -EBUSY (another change is under way), -EPROTO (the event means nothing here). */
int rule_machine_take(struct rule_machine *machine, enum rule_event event);
const char *rule_state_word(enum rule_state state);

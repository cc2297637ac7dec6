#include "rule_state.h"
#include <errno.h>

/* A target below zero is a refusal; BACK is persisted where a version is in force, else nonexistent. */
#define BACK RULE_STATES

static const short targets[RULE_STATES][RULE_EVENTS] = {
    [RULE_NONEXISTENT] = {[RULE_EVENT_CREATE] = RULE_DRAFT,
                          [RULE_EVENT_UPDATE] = -ENOENT,
                          [RULE_EVENT_DELETE] = -ENOENT,
                          [RULE_EVENT_VALIDATED] = -EPROTO,
                          [RULE_EVENT_COMPILED] = -EPROTO,
                          [RULE_EVENT_RECORDED] = -EPROTO,
                          [RULE_EVENT_FAILED] = -EPROTO},
    [RULE_DRAFT] = {[RULE_EVENT_CREATE] = -EBUSY,
                    [RULE_EVENT_UPDATE] = -EBUSY,
                    [RULE_EVENT_DELETE] = -EBUSY,
                    [RULE_EVENT_VALIDATED] = RULE_VALIDATED,
                    [RULE_EVENT_COMPILED] = -EPROTO,
                    [RULE_EVENT_RECORDED] = -EPROTO,
                    [RULE_EVENT_FAILED] = BACK},
    [RULE_VALIDATED] = {[RULE_EVENT_CREATE] = -EBUSY,
                        [RULE_EVENT_UPDATE] = -EBUSY,
                        [RULE_EVENT_DELETE] = -EBUSY,
                        [RULE_EVENT_VALIDATED] = -EPROTO,
                        [RULE_EVENT_COMPILED] = RULE_COMPILED,
                        [RULE_EVENT_RECORDED] = -EPROTO,
                        [RULE_EVENT_FAILED] = BACK},
    [RULE_COMPILED] = {[RULE_EVENT_CREATE] = -EBUSY,
                       [RULE_EVENT_UPDATE] = -EBUSY,
                       [RULE_EVENT_DELETE] = -EBUSY,
                       [RULE_EVENT_VALIDATED] = -EPROTO,
                       [RULE_EVENT_COMPILED] = -EPROTO,
                       [RULE_EVENT_RECORDED] = RULE_PERSISTED,
                       [RULE_EVENT_FAILED] = BACK},
    [RULE_PERSISTED] = {[RULE_EVENT_CREATE] = -EEXIST,
                        [RULE_EVENT_UPDATE] = RULE_UPDATING,
                        [RULE_EVENT_DELETE] = RULE_DELETING,
                        [RULE_EVENT_VALIDATED] = -EPROTO,
                        [RULE_EVENT_COMPILED] = -EPROTO,
                        [RULE_EVENT_RECORDED] = -EPROTO,
                        [RULE_EVENT_FAILED] = -EPROTO},
    [RULE_UPDATING] = {[RULE_EVENT_CREATE] = -EBUSY,
                       [RULE_EVENT_UPDATE] = -EBUSY,
                       [RULE_EVENT_DELETE] = -EBUSY,
                       [RULE_EVENT_VALIDATED] = RULE_VALIDATED,
                       [RULE_EVENT_COMPILED] = -EPROTO,
                       [RULE_EVENT_RECORDED] = -EPROTO,
                       [RULE_EVENT_FAILED] = BACK},
    /* The set without it is compiled before the deletion is recorded. */
    [RULE_DELETING] = {[RULE_EVENT_CREATE] = -EBUSY,
                       [RULE_EVENT_UPDATE] = -EBUSY,
                       [RULE_EVENT_DELETE] = -EBUSY,
                       [RULE_EVENT_VALIDATED] = -EPROTO,
                       [RULE_EVENT_COMPILED] = RULE_DELETING,
                       [RULE_EVENT_RECORDED] = RULE_NONEXISTENT,
                       [RULE_EVENT_FAILED] = BACK},
};

int rule_machine_take(struct rule_machine *machine, enum rule_event event) {
  const short target = targets[machine->state][event];
  if (target < 0) return target;
  if (target == BACK)
    machine->state = machine->in_force ? RULE_PERSISTED : RULE_NONEXISTENT;
  else
    machine->state = (enum rule_state)target;
  if (event == RULE_EVENT_RECORDED) machine->in_force = machine->state == RULE_PERSISTED;
  return 0;
}

const char *rule_state_word(enum rule_state state) {
  static const char *const words[RULE_STATES] = {
      [RULE_NONEXISTENT] = "nonexistent", [RULE_DRAFT] = "draft",         [RULE_VALIDATED] = "validated",
      [RULE_COMPILED] = "compiled",       [RULE_PERSISTED] = "persisted", [RULE_UPDATING] = "updating",
      [RULE_DELETING] = "deleting"};
  return words[state];
}

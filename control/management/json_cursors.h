#pragma once
/* Cursors as the API writes them. */
#include "appliance.h"
#include <jansson.h>

const char *cursor_kind_word(unsigned kind);
json_t *json_cursor(const struct appliance *appliance, const struct cursor_view *view);
json_t *json_cursors(const struct appliance *appliance); /* a list; NULL: no memory */
/* For `status`: how many, and those that somebody should look at: that hold and do not move, or lost records. */
json_t *json_cursors_state(const struct appliance *appliance);

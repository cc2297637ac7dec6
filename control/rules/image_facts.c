#include "image_builder_internal.h"

uint32_t image_fact_of(struct image_builder *builder, const struct expression *fact) {
  (void)fact;
  RULE_COMPLAIN(builder, "rule `%s`: facts between spans are not judged yet", builder->rule->definition.name);
  return 0;
}

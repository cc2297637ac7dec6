#pragma once
/* The conservation laws of docs/architecture.md, over a moment between two steps. */
#include "simulated_appliance.h"

/* Prints what does not hold and returns false. */
bool conservation_holds(const struct simulated_appliance *appliance);
/* When all is over: nothing waits anywhere, and every violation that was raised is durable. */
bool conservation_at_rest(const struct simulated_appliance *appliance);

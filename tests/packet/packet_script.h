#pragma once
/* Runs one packet script; tests/packet/README.md tells the format. */
#include <stdbool.h>

/* False when the script failed; says where and why on stderr. */
bool packet_script_run(const char *path);

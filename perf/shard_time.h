#pragma once
/* Time that the thread of the appliance's only shard has spent on a core, so that what other processes took from a shared machine
 * is not charged to the appliance. Threads: any. */

/* 0 when `process` is 0; ends the program when it has no thread `shard-0`. */
double shard_time_seconds(int process);

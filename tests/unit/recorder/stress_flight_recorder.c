/* A writer that never waits and readers on other threads: what they are given is always one event, never a mixture of two that
 * shared a slot. The ring is small, so that slots are overwritten while they are read. */
#include "cmocka_test.h"
#include "flight_recorder.h"
#include "heap_arena.h"
#include <pthread.h>
#include <sched.h>

#define EVENTS 3000000ull
#define READERS 2

struct rig {
  struct flight_recorder *recorder;
  atomic_bool written;
};

struct reader {
  struct rig *rig;
  uint64_t whole, gone, wrong;
};

static uint64_t mixed(uint64_t number, unsigned at) { return (number + at) * 0x9e3779b97f4a7c15u; }

static void *write_events(void *context) {
  struct rig *rig = context;
  for (uint64_t number = 0; number < EVENTS; number++) {
    struct flight_event event = {
        .kind = (uint16_t)(number % FLIGHT_KINDS), .code = (uint32_t)mixed(number, 9), .wall_ns = mixed(number, 8)};
    for (unsigned i = 0; i < FLIGHT_VALUES; i++) event.values[i] = mixed(number, i);
    flight_record(rig->recorder, &event);
  }
  atomic_store(&rig->written, true);
  return NULL;
}

static bool is_whole(const struct flight_event *event, uint64_t sequence) {
  bool whole = event->sequence == sequence && event->kind == sequence % FLIGHT_KINDS &&
               event->code == (uint32_t)mixed(sequence, 9) && event->wall_ns == mixed(sequence, 8) && event->shard == 1;
  for (unsigned i = 0; i < FLIGHT_VALUES; i++) whole = whole && event->values[i] == mixed(sequence, i);
  return whole;
}

/* From the oldest on: the writer is right behind, and overtakes. */
static void *read_events(void *context) {
  struct reader *reader = context;
  for (bool last = false; !last;) {
    last = atomic_load(&reader->rig->written);
    const struct flight_range range = flight_range(reader->rig->recorder);
    for (uint64_t sequence = range.first; sequence < range.end; sequence++) {
      struct flight_event event;
      if (!flight_read(reader->rig->recorder, sequence, &event))
        reader->gone++;
      else if (is_whole(&event, sequence))
        reader->whole++;
      else
        reader->wrong++;
    }
    sched_yield();
  }
  return NULL;
}

static void no_reader_sees_half_an_event(void **state) {
  (void)state;
  struct heap_arena *heap = heap_arena_create();
  const struct flight_config config = {.shard = 1, .events = 1024, .sample_every = 1};
  struct rig rig = {.recorder = flight_recorder_create(heap_arena_arena(heap), &config)};
  struct reader readers[READERS];
  pthread_t writer, threads[READERS];
  for (unsigned i = 0; i < READERS; i++) {
    readers[i] = (struct reader){.rig = &rig};
    assert_int_equal(pthread_create(&threads[i], NULL, read_events, &readers[i]), 0);
  }
  assert_int_equal(pthread_create(&writer, NULL, write_events, &rig), 0);
  pthread_join(writer, NULL);
  for (unsigned i = 0; i < READERS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(readers[i].wrong, 0);
    assert_true(readers[i].whole >= config.events); /* the last look found all that was left */
  }
  heap_arena_destroy(heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(no_reader_sees_half_an_event)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

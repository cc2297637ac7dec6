#include "cmocka_test.h"
#include "expect_trap.h"
#include "heap_arena.h"
#include "test_random.h"
#include "timer_wheel.h"
#include <stdlib.h>
#include <string.h>

#define TICK_NS (UINT64_C(1) << 20)
#define START_NS UINT64_C(1234567890123456)
#define DAY_NS (UINT64_C(86400) * 1000000000)

struct rig {
  struct heap_arena *heap;
  struct timer_wheel *wheel;
};

static int set_up(void **state) {
  static struct rig rig;
  rig.heap = heap_arena_create();
  rig.wheel = timer_wheel_create(heap_arena_arena(rig.heap), START_NS);
  *state = &rig;
  return rig.wheel ? 0 : -1;
}

static int tear_down(void **state) {
  heap_arena_destroy(((struct rig *)*state)->heap);
  return 0;
}

struct counted {
  struct timer timer;
  unsigned fired;
  uint64_t fired_ns;
};

static void count_fire(struct timer *timer, void *context, uint64_t now_ns) {
  (void)context;
  struct counted *counted = (struct counted *)timer;
  counted->fired++;
  counted->fired_ns = now_ns;
}

static void test_one_timer_at_each_distance(void **state) {
  struct rig *rig = *state;
  uint64_t now_ns = START_NS;
  for (unsigned shift = 0; shift < 57; shift++) {
    for (int delta = -1; delta <= 1; delta++) {
      struct counted counted = {.timer.fire = count_fire};
      const uint64_t deadline_ns = now_ns + (UINT64_C(1) << shift) + (uint64_t)(int64_t)delta;
      timer_arm(rig->wheel, &counted.timer, deadline_ns);
      assert_true(timer_armed(&counted.timer));
      if (deadline_ns > now_ns) {
        timer_wheel_advance(rig->wheel, NULL, deadline_ns - 1, 100);
        assert_int_equal(counted.fired, 0);
        timer_wheel_advance(rig->wheel, NULL, deadline_ns - 1, 100);
        assert_int_equal(counted.fired, 0);
      }
      now_ns = deadline_ns + TICK_NS;
      assert_int_equal(timer_wheel_advance(rig->wheel, NULL, now_ns, 100), 1);
      assert_int_equal(counted.fired, 1);
      assert_int_equal(counted.fired_ns, now_ns);
      assert_false(timer_armed(&counted.timer));
    }
  }
}

/* A deadline no clock reaches neither fires nor disturbs. */
static void test_never(void **state) {
  struct rig *rig = *state;
  struct counted never = {.timer.fire = count_fire}, soon = {.timer.fire = count_fire};
  timer_arm(rig->wheel, &never.timer, UINT64_MAX);
  for (uint64_t now_ns = START_NS; now_ns < START_NS + 4000 * DAY_NS; now_ns += 3 * DAY_NS) {
    timer_arm(rig->wheel, &soon.timer, now_ns + DAY_NS);
    assert_int_equal(timer_wheel_advance(rig->wheel, NULL, now_ns + 2 * DAY_NS, 10), 1);
  }
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, UINT64_MAX - 1, 10), 0);
  assert_int_equal(never.fired, 0);
  assert_int_equal(timer_wheel_armed_count(rig->wheel), 1);
}

static void test_past_deadline_fires_at_next_advance(void **state) {
  struct rig *rig = *state;
  struct counted counted = {.timer.fire = count_fire};
  static const uint64_t ages[] = {0, 1, TICK_NS, 1000 * TICK_NS, START_NS};
  for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
    timer_arm(rig->wheel, &counted.timer, START_NS - ages[i]);
    assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS, 10), 1);
  }
  assert_int_equal(counted.fired, sizeof ages / sizeof *ages);
}

static void test_cancel_and_rearm(void **state) {
  struct rig *rig = *state;
  struct counted counted = {.timer.fire = count_fire};
  timer_cancel(&counted.timer);
  timer_arm(rig->wheel, &counted.timer, START_NS + 10 * TICK_NS);
  timer_cancel(&counted.timer);
  assert_false(timer_armed(&counted.timer));
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS + 20 * TICK_NS, 10), 0);
  timer_arm(rig->wheel, &counted.timer, START_NS + 30 * TICK_NS);
  timer_arm(rig->wheel, &counted.timer, START_NS + 50 * TICK_NS);
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS + 40 * TICK_NS, 10), 0);
  timer_arm(rig->wheel, &counted.timer, START_NS + 41 * TICK_NS);
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS + 42 * TICK_NS, 10), 1);
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS + 60 * TICK_NS, 10), 0);
}

static void test_most_bounds_an_advance(void **state) {
  struct rig *rig = *state;
  enum { COUNT = 1000 };
  static struct counted timers[COUNT];
  memset(timers, 0, sizeof timers);
  /* Far enough to be moved down several levels before they fire. */
  for (unsigned i = 0; i < COUNT; i++) {
    timers[i].timer.fire = count_fire;
    timer_arm(rig->wheel, &timers[i].timer, START_NS + 300000 * TICK_NS + i % 7 * TICK_NS);
  }
  uint32_t fired = 0;
  unsigned advances = 0;
  for (; fired < COUNT && advances < 100000; advances++) {
    const uint32_t now = timer_wheel_advance(rig->wheel, NULL, START_NS + 400000 * TICK_NS, 3);
    assert_true(now <= 3);
    fired += now;
    assert_int_equal(timer_wheel_armed_count(rig->wheel), COUNT - fired);
  }
  assert_int_equal(fired, COUNT);
  assert_true(advances < 500);
  for (unsigned i = 0; i < COUNT; i++) assert_int_equal(timers[i].fired, 1);
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS + 500000 * TICK_NS, 0), 0);
}

static void rearm_for_the_past(struct timer *timer, void *context, uint64_t now_ns) {
  struct rig *rig = context;
  ((struct counted *)timer)->fired++;
  timer_arm(rig->wheel, timer, now_ns);
}

/* A timer that always wants to fire again does so once an advance, and starves no other. */
static void test_rearm_for_the_past_from_within(void **state) {
  struct rig *rig = *state;
  struct counted eager[3] = {0}, other = {.timer.fire = count_fire};
  for (unsigned i = 0; i < 3; i++) {
    eager[i].timer.fire = rearm_for_the_past;
    timer_arm(rig->wheel, &eager[i].timer, START_NS);
  }
  timer_arm(rig->wheel, &other.timer, START_NS + 5 * TICK_NS);
  assert_int_equal(timer_wheel_advance(rig->wheel, rig, START_NS, 100), 3);
  assert_int_equal(timer_wheel_advance(rig->wheel, rig, START_NS, 100), 3);
  for (unsigned i = 0; i < 20 && !other.fired; i++) timer_wheel_advance(rig->wheel, rig, START_NS + 10 * TICK_NS, 2);
  assert_int_equal(other.fired, 1);
  for (unsigned i = 0; i < 3; i++) assert_in_range(eager[i].fired, 3, 20);
}

struct pair {
  struct timer timers[2];
  unsigned fired;
};

static void cancel_the_others(struct timer *timer, void *context, uint64_t now_ns) {
  (void)now_ns;
  struct pair *pair = context;
  pair->fired++;
  timer_cancel(&pair->timers[timer == &pair->timers[0]]);
}

static void test_cancel_of_a_due_timer_from_within(void **state) {
  struct rig *rig = *state;
  for (unsigned distance = 0; distance < 200; distance++) {
    struct pair pair = {.timers = {{.fire = cancel_the_others}, {.fire = cancel_the_others}}};
    const uint64_t now_ns = START_NS + distance * 1000 * TICK_NS;
    timer_arm(rig->wheel, &pair.timers[0], now_ns + distance * TICK_NS);
    timer_arm(rig->wheel, &pair.timers[1], now_ns + distance * TICK_NS);
    timer_wheel_advance(rig->wheel, &pair, now_ns + (distance + 1) * TICK_NS, 10);
    assert_int_equal(pair.fired, 1);
    assert_int_equal(timer_wheel_armed_count(rig->wheel), 0);
  }
}

static void test_time_that_steps_back_is_ignored(void **state) {
  struct rig *rig = *state;
  struct counted counted = {.timer.fire = count_fire};
  timer_wheel_advance(rig->wheel, NULL, START_NS + 100 * TICK_NS, 10);
  timer_arm(rig->wheel, &counted.timer, START_NS + 110 * TICK_NS);
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS, 10), 0);
  timer_arm(rig->wheel, &counted.timer, START_NS + 50 * TICK_NS);
  assert_int_equal(timer_wheel_advance(rig->wheel, NULL, START_NS, 10), 1);
  assert_int_equal(counted.fired_ns, START_NS + 100 * TICK_NS);
}

/* The model: every timer's armed deadline in a plain table. */
#define MODEL_TIMERS 300
struct model {
  struct timer_wheel *wheel;
  struct test_random random;
  struct timer timers[MODEL_TIMERS];
  uint64_t deadline_ns[MODEL_TIMERS]; /* 0: not armed */
  uint64_t armed_at_ns[MODEL_TIMERS];
  uint64_t now_ns;
  uint32_t fired;
};

static uint64_t random_deadline(struct model *model) {
  const uint64_t distance = random_next(&model->random) >> (8 + random_below(&model->random, 56));
  return random_below(&model->random, 20) == 0 ? model->now_ns - distance % START_NS : model->now_ns + distance;
}

static void model_arm(struct model *model, uint32_t index) {
  model->deadline_ns[index] = random_deadline(model);
  model->armed_at_ns[index] = model->now_ns;
  timer_arm(model->wheel, &model->timers[index], model->deadline_ns[index]);
}

static void model_cancel(struct model *model, uint32_t index) {
  model->deadline_ns[index] = 0;
  timer_cancel(&model->timers[index]);
}

static void model_fire(struct timer *timer, void *context, uint64_t now_ns) {
  struct model *model = context;
  const uint32_t index = (uint32_t)(timer - model->timers);
  assert_int_equal(now_ns, model->now_ns);
  assert_int_not_equal(model->deadline_ns[index], 0);
  assert_true(model->deadline_ns[index] <= now_ns);
  model->deadline_ns[index] = 0;
  model->fired++;
  if (random_below(&model->random, 3) == 0) model_arm(model, index);
  if (random_below(&model->random, 5) == 0) model_cancel(model, random_below(&model->random, MODEL_TIMERS));
  if (random_below(&model->random, 5) == 0) model_arm(model, random_below(&model->random, MODEL_TIMERS));
}

/* After an unbounded advance nothing is left that was due a whole tick ago, and the wheel agrees on what is armed. */
static void model_check(const struct model *model) {
  uint32_t armed = 0;
  for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
    assert_int_equal(timer_armed(&model->timers[i]), model->deadline_ns[i] != 0);
    if (!model->deadline_ns[i]) continue;
    armed++;
    if (model->armed_at_ns[i] < model->now_ns) assert_true(model->deadline_ns[i] + TICK_NS > model->now_ns);
  }
  assert_int_equal(timer_wheel_armed_count(model->wheel), armed);
}

static void test_against_model(void **state) {
  struct rig *rig = *state;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    static struct model model;
    memset(&model, 0, sizeof model);
    model.random.state = seed;
    model.now_ns = START_NS + random_next(&model.random) % (1000 * DAY_NS);
    model.wheel = timer_wheel_create(heap_arena_arena(rig->heap), model.now_ns);
    for (uint32_t i = 0; i < MODEL_TIMERS; i++) model.timers[i].fire = model_fire;
    for (unsigned step = 0; step < 3000; step++) {
      const uint32_t index = random_below(&model.random, MODEL_TIMERS);
      const uint32_t choice = random_below(&model.random, 10);
      if (choice < 5) {
        model_arm(&model, index);
      } else if (choice < 6) {
        model_cancel(&model, index);
      } else {
        /* From parts of a tick to days. */
        model.now_ns += 1 + (random_next(&model.random) >> (16 + random_below(&model.random, 48)));
        timer_wheel_advance(model.wheel, &model, model.now_ns, 1000000);
        model_check(&model);
      }
    }
    assert_true(model.fired > 100);
  }
}

static void test_arena_spent(void **state) {
  struct rig *rig = *state;
  heap_arena_limit(rig->heap, 0);
  assert_null(timer_wheel_create(heap_arena_arena(rig->heap), 0));
}

static void arm_without_fire(void *context) {
  struct timer timer = {0};
  timer_arm(context, &timer, START_NS);
}

static void test_timer_without_fire_traps(void **state) { assert_true(traps(arm_without_fire, ((struct rig *)*state)->wheel)); }

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_one_timer_at_each_distance),
      TEST(test_never),
      TEST(test_past_deadline_fires_at_next_advance),
      TEST(test_cancel_and_rearm),
      TEST(test_most_bounds_an_advance),
      TEST(test_rearm_for_the_past_from_within),
      TEST(test_cancel_of_a_due_timer_from_within),
      TEST(test_time_that_steps_back_is_ignored),
      TEST(test_against_model),
      TEST(test_arena_spent),
      TEST(test_timer_without_fire_traps),
  };
  return cmocka_run_group_tests_name("timer_wheel", tests, NULL, NULL);
}

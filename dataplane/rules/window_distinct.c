#include "rules_internal.h"

#define REGISTERS 1024u
#define REGISTER_BITS 10u
#define RANKS 24u
#define REGISTERS_A_BLOCK (WINDOW_BYTES_A_BLOCK / RANKS)
#define CELL_BLOCKS ((REGISTERS + REGISTERS_A_BLOCK - 1) / REGISTERS_A_BLOCK)
#define MAXIMA_BLOCKS ((REGISTERS + WINDOW_BYTES_A_BLOCK - 1) / WINDOW_BYTES_A_BLOCK)
#define ALL_BLOCKS (CELL_BLOCKS + MAXIMA_BLOCKS)
_Static_assert(ALL_BLOCKS + RANKS + 1 <= WINDOW_BYTES_A_BLOCK / 4, "the directory and the counts of ranks are one block");

#define TAG_SKETCH (-1) /* of the directory, which is first in the list; the other blocks follow */

/* When a rank was last seen, in a byte: no two steps of a window share one. 0: never. */
static uint8_t stamp_of(uint64_t step) { return (uint8_t)(1 + step % 255); }

static bool is_sketch(struct window_table *table, const struct window_key *key) {
  return key->list != WINDOW_NONE && window_block_at(table, key->list)->tag == TAG_SKETCH;
}

struct sketch {
  struct window_table *table;
  struct window_block *directory; /* block numbers, then how many registers have each rank for their highest */
};

static struct sketch sketch_of(struct window_table *table, const struct window_key *key) {
  return (struct sketch){.table = table, .directory = window_block_at(table, key->list)};
}

static uint8_t *cells_of(struct sketch *sketch, uint32_t index) {
  struct window_block *block = window_block_at(sketch->table, sketch->directory->blocks[index / REGISTERS_A_BLOCK]);
  return block->bytes + index % REGISTERS_A_BLOCK * RANKS;
}

static uint8_t *maximum_of(struct sketch *sketch, uint32_t index) {
  const uint32_t at = CELL_BLOCKS + index / WINDOW_BYTES_A_BLOCK;
  return &window_block_at(sketch->table, sketch->directory->blocks[at])->bytes[index % WINDOW_BYTES_A_BLOCK];
}

static uint32_t *registers_of_rank(struct sketch *sketch, uint32_t rank) { return &sketch->directory->blocks[ALL_BLOCKS + rank]; }

static void set_maximum(struct sketch *sketch, uint32_t index, uint8_t rank) {
  uint8_t *maximum = maximum_of(sketch, index);
  --*registers_of_rank(sketch, *maximum);
  ++*registers_of_rank(sketch, rank);
  *maximum = rank;
}

/* `newest` is the window's: a late event does not make a value older than it is. */
static void sketch_add(struct sketch *sketch, uint64_t newest, uint64_t step, uint64_t hash) {
  const uint32_t index = (uint32_t)hash & (REGISTERS - 1);
  const uint64_t rest = hash >> REGISTER_BITS;
  const unsigned zeros = rest ? (unsigned)__builtin_ctzll(rest) : RANKS;
  const uint8_t rank = (uint8_t)(zeros + 1 < RANKS ? zeros + 1 : RANKS);
  uint8_t *cell = &cells_of(sketch, index)[rank - 1];
  const uint32_t age = (255u + stamp_of(newest) - *cell) % 255;
  if (*cell == 0 || age > newest - step) *cell = stamp_of(step);
  if (rank > *maximum_of(sketch, index)) set_maximum(sketch, index, rank);
}

static void sketch_drop(struct sketch *sketch, uint64_t step) {
  const uint8_t stamp = stamp_of(step);
  for (uint32_t index = 0; index < REGISTERS; index++) {
    uint8_t *cells = cells_of(sketch, index), rank = *maximum_of(sketch, index);
    if (rank == 0) continue;
    for (uint8_t i = 0; i < rank; i++)
      if (cells[i] == stamp) cells[i] = 0;
    const uint8_t before = rank;
    while (rank > 0 && cells[rank - 1] == 0) rank--;
    if (rank != before) set_maximum(sketch, index, rank);
  }
}

/* ln(x) for x from 1 to REGISTERS: no library function is at hand. */
static double logarithm(double x) {
  double power = 0;
  for (; x >= 2; x /= 2) power += 0.6931471805599453;
  const double z = (x - 1) / (x + 1), square = z * z;
  double sum = 0, term = z;
  for (unsigned i = 1; i < 40; i += 2, term *= square) sum += term / i;
  return power + 2 * sum;
}

static uint64_t sketch_estimate(struct sketch *sketch) {
  double sum = 0, weight = 1;
  for (uint32_t rank = 0; rank <= RANKS; rank++, weight /= 2) sum += weight * *registers_of_rank(sketch, rank);
  const double registers = REGISTERS, raw = 0.7213 / (1 + 1.079 / registers) * registers * registers / sum;
  const uint32_t empty = *registers_of_rank(sketch, 0);
  const double estimate = raw <= 2.5 * registers && empty ? registers * logarithm(registers / empty) : raw;
  return (uint64_t)(estimate + 0.5);
}

/* The set becomes a sketch; false, and nothing changes: no blocks. */
static bool make_sketch(struct engine *engine, struct window_key *key) {
  struct window_table *table = &engine->windows;
  uint32_t first = window_block_take(engine, key);
  if (first == WINDOW_NONE) return false;
  uint32_t *link = &window_block_at(table, first)->next;
  for (uint32_t i = 0; i < ALL_BLOCKS; i++) {
    const uint32_t index = window_block_take(engine, key);
    if (index == WINDOW_NONE) {
      window_blocks_give(engine, &first);
      return false;
    }
    window_block_at(table, first)->blocks[i] = index;
    *link = index;
    link = &window_block_at(table, index)->next;
  }
  window_block_at(table, first)->tag = TAG_SKETCH;
  uint32_t set = key->list;
  key->list = first;
  struct sketch sketch = sketch_of(table, key);
  *registers_of_rank(&sketch, 0) = REGISTERS;
  for (uint32_t index = set; index != WINDOW_NONE; index = window_block_at(table, index)->next) {
    const struct window_block *block = window_block_at(table, index);
    for (int32_t i = 0; i < block->tag; i++) {
      /* The set has the low words of steps: the window's are the newest with that low word. */
      const uint64_t age = (uint32_t)key->step - block->set.steps[i];
      sketch_add(&sketch, key->step, key->step - age, block->set.hashes[i]);
    }
  }
  window_blocks_give(engine, &set);
  return true;
}

static bool set_add(struct engine *engine, struct window_key *key, uint64_t step, uint64_t hash, bool *full) {
  struct window_table *table = &engine->windows;
  struct window_block *room = NULL;
  uint32_t blocks = 0;
  for (uint32_t index = key->list; index != WINDOW_NONE; index = window_block_at(table, index)->next, blocks++) {
    struct window_block *block = window_block_at(table, index);
    for (int32_t i = 0; i < block->tag; i++) {
      if (block->set.hashes[i] != hash) continue;
      if ((int32_t)((uint32_t)step - block->set.steps[i]) > 0) block->set.steps[i] = (uint32_t)step;
      return true;
    }
    if (block->tag < (int32_t)WINDOW_SET_ENTRIES) room = block;
  }
  if (!room) {
    *full = blocks * WINDOW_SET_ENTRIES >= WINDOW_SET_MAX;
    if (*full) return false;
    const uint32_t index = window_block_take(engine, key);
    if (index == WINDOW_NONE) return false;
    room = window_block_at(table, index);
    room->next = key->list;
    key->list = index;
  }
  room->set.hashes[room->tag] = hash;
  room->set.steps[room->tag] = (uint32_t)step;
  room->tag++;
  return true;
}

static void set_drop(struct engine *engine, struct window_key *key, uint64_t step) {
  struct window_table *table = &engine->windows;
  for (uint32_t *link = &key->list; *link != WINDOW_NONE;) {
    struct window_block *block = window_block_at(table, *link);
    for (int32_t i = 0; i < block->tag;) {
      if (block->set.steps[i] != (uint32_t)step) {
        i++;
        continue;
      }
      block->tag--;
      block->set.hashes[i] = block->set.hashes[block->tag];
      block->set.steps[i] = block->set.steps[block->tag];
    }
    if (block->tag) {
      link = &block->next;
      continue;
    }
    uint32_t empty = *link;
    *link = block->next;
    block->next = WINDOW_NONE;
    window_blocks_give(engine, &empty);
  }
}

bool window_distinct_add(struct engine *engine, struct window_key *key, uint64_t step, uint64_t hash) {
  bool full = false;
  if (!is_sketch(&engine->windows, key)) {
    if (set_add(engine, key, step, hash, &full)) return true;
    if (!full || !make_sketch(engine, key)) return false;
  }
  struct sketch sketch = sketch_of(&engine->windows, key);
  sketch_add(&sketch, key->step, step, hash);
  return true;
}

/* A sketch that has nothing left goes: its window is empty then. */
void window_distinct_drop(struct engine *engine, struct window_key *key, uint64_t step) {
  if (!is_sketch(&engine->windows, key)) {
    set_drop(engine, key, step);
    return;
  }
  struct sketch sketch = sketch_of(&engine->windows, key);
  sketch_drop(&sketch, step);
  if (*registers_of_rank(&sketch, 0) == REGISTERS) window_blocks_give(engine, &key->list);
}

uint64_t window_distinct(struct engine *engine, const struct window_key *key) {
  struct window_table *table = &engine->windows;
  uint64_t count = 0;
  if (is_sketch(table, key)) {
    struct sketch sketch = sketch_of(table, key);
    return sketch_estimate(&sketch);
  }
  for (uint32_t index = key->list; index != WINDOW_NONE; index = window_block_at(table, index)->next)
    count += (uint64_t)window_block_at(table, index)->tag;
  return count;
}

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "RoostCLinux.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int ring_setup(unsigned entries, struct io_uring_params *parameters) {
  return (int)syscall(__NR_io_uring_setup, entries, parameters);
}

static int ring_enter(int ring, unsigned submit, unsigned wait, unsigned flags) {
  return (int)syscall(__NR_io_uring_enter, ring, submit, wait, flags, NULL, 0);
}

static int ring_register(int ring, unsigned operation, void *argument, unsigned count) {
  return (int)syscall(__NR_io_uring_register, ring, operation, argument, count);
}

static void *ring_map(int ring, size_t byte_count, off_t offset) {
  return mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);
}

/// Maps the queues; the kernel that has the flags we ask for has one mapping for both.
static int ring_map_queues(struct roost_ring *ring, const struct io_uring_params *parameters) {
  size_t submissions = parameters->sq_off.array + parameters->sq_entries * sizeof(uint32_t);
  size_t completions =
      parameters->cq_off.cqes + parameters->cq_entries * sizeof(struct io_uring_cqe);
  ring->queues_size = submissions > completions ? submissions : completions;
  ring->queues = ring_map(ring->descriptor, ring->queues_size, IORING_OFF_SQ_RING);
  if (ring->queues == MAP_FAILED) return -1;
  ring->places_size = parameters->sq_entries * sizeof(struct io_uring_sqe);
  ring->places = ring_map(ring->descriptor, ring->places_size, IORING_OFF_SQES);
  if (ring->places == MAP_FAILED) return -1;
  char *base = ring->queues;
  ring->submit_flags = (uint32_t *)(base + parameters->sq_off.flags);
  ring->submit_tail = (uint32_t *)(base + parameters->sq_off.tail);
  ring->submit_mask = *(uint32_t *)(base + parameters->sq_off.ring_mask);
  ring->submit_array = (uint32_t *)(base + parameters->sq_off.array);
  ring->complete_head = (uint32_t *)(base + parameters->cq_off.head);
  ring->complete_tail = (uint32_t *)(base + parameters->cq_off.tail);
  ring->complete_mask = *(uint32_t *)(base + parameters->cq_off.ring_mask);
  ring->completions = base + parameters->cq_off.cqes;
  return 0;
}

int roost_ring_open(struct roost_ring *ring, uint32_t entries, int eventfd) {
  struct io_uring_params parameters = {
      .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
               IORING_SETUP_R_DISABLED};
  memset(ring, 0, sizeof *ring);
  ring->queues = MAP_FAILED;
  ring->places = MAP_FAILED;
  ring->descriptor = ring_setup(entries, &parameters);
  if (ring->descriptor < 0) return -1;
  int failed = ring_map_queues(ring, &parameters);
  if (!failed && eventfd >= 0) {
    failed = ring_register(ring->descriptor, IORING_REGISTER_EVENTFD, &eventfd, 1);
  }
  if (failed) {
    int error = errno;
    roost_ring_close(ring);
    errno = error;
    return -1;
  }
  return 0;
}

int roost_ring_enable(struct roost_ring *ring) {
  return ring_register(ring->descriptor, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int roost_ring_write(struct roost_ring *ring, int descriptor, const void *bytes, uint32_t count,
                     uint64_t offset, uint64_t number) {
  uint32_t tail = *ring->submit_tail;
  uint32_t place = tail & ring->submit_mask;
  struct io_uring_sqe *entry = (struct io_uring_sqe *)ring->places + place;
  memset(entry, 0, sizeof *entry);
  entry->opcode = IORING_OP_WRITE;
  entry->fd = descriptor;
  entry->addr = (uint64_t)(uintptr_t)bytes;
  entry->len = count;
  entry->off = offset;
  entry->rw_flags = RWF_DSYNC;
  entry->user_data = number;
  ring->submit_array[place] = place;
  __atomic_store_n(ring->submit_tail, tail + 1, __ATOMIC_RELEASE);
  int result;
  do {
    result = ring_enter(ring->descriptor, 1, 0, 0);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN || errno == EBUSY));
  return result == 1 ? 0 : -1;
}

int roost_ring_reap(struct roost_ring *ring, int wait, uint64_t *number, int32_t *result) {
  uint32_t head = *ring->complete_head;
  if (head == __atomic_load_n(ring->complete_tail, __ATOMIC_ACQUIRE)) {
    uint32_t flags = __atomic_load_n(ring->submit_flags, __ATOMIC_ACQUIRE);
    if (!wait && (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0) return 0;
    int entered;
    do {
      entered = ring_enter(ring->descriptor, 0, wait ? 1 : 0, IORING_ENTER_GETEVENTS);
    } while (entered < 0 && wait && errno == EINTR);
    if (head == __atomic_load_n(ring->complete_tail, __ATOMIC_ACQUIRE)) return 0;
  }
  const struct io_uring_cqe *entry =
      (const struct io_uring_cqe *)ring->completions + (head & ring->complete_mask);
  *number = entry->user_data;
  *result = entry->res;
  __atomic_store_n(ring->complete_head, head + 1, __ATOMIC_RELEASE);
  return 1;
}

void roost_ring_close(struct roost_ring *ring) {
  if (ring->places != MAP_FAILED) munmap(ring->places, ring->places_size);
  if (ring->queues != MAP_FAILED) munmap(ring->queues, ring->queues_size);
  close(ring->descriptor);
}

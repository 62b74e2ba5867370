// What Linux has and Swift's Glibc module does not show.
//
// Declarations of thin wrappers, without state and without decisions; CLinux.c holds them. Like the calls that
// they wrap, they answer -1 and set errno where they fail. Only `Platform` imports this. The header includes
// nothing of the system's, since the Glibc module sees some of those headers with other definitions.

#ifndef ROOST_CLINUX_H
#define ROOST_CLINUX_H

#include <stddef.h>
#include <stdint.h>

/// `accept4`: the connection does not block and does not outlive an exec.
int roost_accept(int listener);

/// Fills `bytes` from the kernel's generator; up to 256 bytes come whole.
long roost_random(void *bytes, size_t count);

/// Names the calling thread for `ps`, `top` and debuggers; cut at 15 bytes.
void roost_name_thread(const char *name);

/// Keeps memory that is freed in this process, and has one heap for all threads.
void roost_keep_memory(void);

/// A counter as a descriptor: readable while it is not zero.
int roost_eventfd(void);

enum {
  ROOST_EPOLL_ADD = 1,
  ROOST_EPOLL_CHANGE = 2,
};

enum {
  ROOST_CAN_READ = 1,
  ROOST_CAN_WRITE = 2,
  ROOST_IS_BROKEN = 4,
};

/// What one descriptor is ready for: flags of the enum above.
struct roost_ready {
  uint64_t token;
  uint32_t flags;
};

int roost_epoll_create(void);

/// Watches a descriptor for the given flags; breaks are always told.
int roost_epoll_control(int epoll, int operation, int descriptor, uint32_t flags, uint64_t token);

/// Waits up to `milliseconds` (-1: for ever) and fills at most `limit` places, 256 at the most.
int roost_epoll_wait(int epoll, struct roost_ready *ready, int limit, int milliseconds);

/// Waits until a descriptor can be read, at most so long; 1 if it can, 0 if the time is over.
int roost_wait_readable(int descriptor, uint64_t nanoseconds);

enum {
  ROOST_FILE_READ = 1,
  ROOST_FILE_WRITE = 2,
  ROOST_FILE_CREATE = 4,
  ROOST_FILE_DIRECT = 8,
};

/// Opens a file in a directory, for its owner alone; DIRECT goes past the page cache.
int roost_open_file(int directory, const char *name, uint32_t flags);

/// An io_uring with its queues mapped; the fields are for IOUring.c alone.
struct roost_ring {
  int descriptor;
  void *queues;
  size_t queues_size;
  void *places;
  size_t places_size;
  uint32_t *submit_tail;
  uint32_t *submit_array;
  uint32_t *submit_flags;
  uint32_t submit_mask;
  uint32_t complete_mask;
  uint32_t *complete_head;
  uint32_t *complete_tail;
  void *completions;
};

/// Makes a ring that signals `eventfd` (-1: nobody) at each completion. It takes nothing before it is enabled.
int roost_ring_open(struct roost_ring *ring, uint32_t entries, int eventfd);

/// Lets the ring take work; from now on only the calling thread may use it.
int roost_ring_enable(struct roost_ring *ring);

/// Starts a write that is on the medium when it completes.
int roost_ring_write(struct roost_ring *ring, int descriptor, const void *bytes, uint32_t count,
                     uint64_t offset, uint64_t number);

/// Takes one completion, and waits for one if asked; 1 if there was one, else 0.
///
/// While the kernel has nothing to tell it makes no system call, unless it is to wait.
int roost_ring_reap(struct roost_ring *ring, int wait, uint64_t *number, int32_t *result);

void roost_ring_close(struct roost_ring *ring);

#endif

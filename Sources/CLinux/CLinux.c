#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "RoostCLinux.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>

int roost_accept(int listener) {
  return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

long roost_random(void *bytes, size_t count) { return getrandom(bytes, count, 0); }

void roost_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

void roost_keep_memory(void) {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 1 << 20);
  mallopt(M_ARENA_MAX, 1);
  /* Small pieces are merged as they are freed, not all of them at once by some later, large allocation. */
  mallopt(M_MXFAST, 0);
}

int roost_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

int roost_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int roost_epoll_control(int epoll, int operation, int descriptor, uint32_t flags, uint64_t token) {
  struct epoll_event event = {.events = 0, .data = {.u64 = token}};
  if (flags & ROOST_CAN_READ) event.events |= EPOLLIN | EPOLLRDHUP;
  if (flags & ROOST_CAN_WRITE) event.events |= EPOLLOUT;
  return epoll_ctl(epoll, operation == ROOST_EPOLL_ADD ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor,
                   &event);
}

int roost_epoll_wait(int epoll, struct roost_ready *ready, int limit, int milliseconds) {
  struct epoll_event events[256];
  int count = epoll_wait(epoll, events, limit < 256 ? limit : 256, milliseconds);
  for (int place = 0; place < count; place++) {
    uint32_t seen = events[place].events;
    ready[place].token = events[place].data.u64;
    ready[place].flags = (seen & EPOLLIN ? ROOST_CAN_READ : 0) | (seen & EPOLLOUT ? ROOST_CAN_WRITE : 0) |
                         (seen & (EPOLLERR | EPOLLHUP | EPOLLRDHUP) ? ROOST_IS_BROKEN : 0);
  }
  return count;
}

int roost_wait_readable(int descriptor, uint64_t nanoseconds) {
  struct pollfd place = {.fd = descriptor, .events = POLLIN};
  struct timespec time = {.tv_sec = (time_t)(nanoseconds / 1000000000),
                          .tv_nsec = (long)(nanoseconds % 1000000000)};
  return ppoll(&place, 1, &time, NULL);
}

int roost_open_file(int directory, const char *name, uint32_t flags) {
  int mode = flags & ROOST_FILE_WRITE ? flags & ROOST_FILE_READ ? O_RDWR : O_WRONLY : O_RDONLY;
  if (flags & ROOST_FILE_CREATE) mode |= O_CREAT;
  if (flags & ROOST_FILE_DIRECT) mode |= O_DIRECT;
  return openat(directory, name, mode | O_CLOEXEC | O_NOFOLLOW, 0600);
}

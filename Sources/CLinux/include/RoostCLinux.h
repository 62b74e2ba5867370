// What Linux has and Swift's Glibc module does not show.
//
// One header of declarations and thin wrappers, without state and without decisions. Only `Platform`
// imports it.

#ifndef ROOST_CLINUX_H
#define ROOST_CLINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

/// `accept4` without the address, which Swift would see as a union.
static inline int roost_accept(int listener) {
  return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/// `epoll_ctl` with the token that `roost_epoll_wait` answers.
static inline int roost_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data = {.u64 = token}};
  return epoll_ctl(epoll, operation, fd, &event);
}

#endif

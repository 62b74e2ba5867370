// The yardstick: the least that three nodes have to do to keep a write, and nothing else.
//
// A leader and two followers, one thread and one epoll each. The leader gathers the requests that a turn brings, sends
// them on as they are, writes and syncs them beside the followers, applies what two of three have on disk, and answers.
// No elections, no recovery, no sessions, no order of keys: not a store, but what a store on this machine is measured by.
//
//   cc -O2 -msse4.2 skeleton.c -o skeleton
//   skeleton NODE DIRECTORY PORT1 PORT2 PORT3        (node 1 leads)
//
// Requests and answers: see Sources/kvbench/Systems/SkeletonLink.swift. Between nodes: a batch is its length 4, its
// number of records 4, what is committed 8, and the records; a follower answers with the number of records it has, 8.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nmmintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOG_BYTES = 256 << 20, KEPT_BYTES = 128 << 20, BATCH_HEAD = 16 };
enum { PENDING = 1 << 20, TABLE = 1 << 21, RECORD_HEAD = 16 };

static void check(int good, const char *what) {
  if (good) return;
  perror(what);
  exit(1);
}

// Bytes that come in or go out: used from `first` to `last`.
struct bytes { char *base; size_t room, first, last; };

static char *grow(struct bytes *b, size_t count) {
  if (b->room - b->last < count) {
    size_t used = b->last - b->first;
    if (b->first && b->room - used >= count) {
      memmove(b->base, b->base + b->first, used);
    } else {
      b->room = 2 * (used + count) + 65536;
      char *larger = malloc(b->room);
      if (used) memcpy(larger, b->base + b->first, used);
      free(b->base);
      b->base = larger;
    }
    b->first = 0;
    b->last = used;
  }
  char *place = b->base + b->last;
  b->last += count;
  return place;
}

static void drop(struct bytes *b, size_t count) {
  b->first += count;
  if (b->first == b->last) b->first = b->last = 0;
}

// A record: length of all 4, checksum of what follows 4, key's length 4, number 4 (the low half), key and value.
static uint32_t checksum(const char *p, size_t count) {
  uint64_t sum = ~0u;
  for (; count >= 8; p += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    sum = _mm_crc32_u64(sum, word);
  }
  for (; count; count--) sum = _mm_crc32_u8((uint32_t)sum, (unsigned char)*p++);
  return ~(uint32_t)sum;
}

static uint32_t word(const char *p) { return *(const uint32_t *)p; }

static size_t padded(size_t count) { return (count + 7) & ~(size_t)7; }

// --- the table: open addressing, keys of up to 24 bytes ------------------------------------------------------

struct place { uint32_t key_bytes, value_bytes, value_room; char key[24]; char *value; };
static struct place *table;

static struct place *look_up(const char *key, uint32_t key_bytes) {
  if (key_bytes > sizeof table->key) key_bytes = sizeof table->key;
  uint64_t hash = checksum(key, key_bytes) * 0x9E3779B97F4A7C15ull;
  for (uint64_t n = hash >> 32;; n++) {
    struct place *p = &table[n & (TABLE - 1)];
    if (!p->key_bytes) return p;
    if (p->key_bytes == key_bytes && !memcmp(p->key, key, key_bytes)) return p;
  }
}

static void apply(const char *record) {
  uint32_t key_bytes = word(record + 8), value_bytes = word(record) - RECORD_HEAD - key_bytes;
  const char *key = record + RECORD_HEAD;
  struct place *p = look_up(key, key_bytes);
  if (!p->key_bytes) {
    p->key_bytes = key_bytes > sizeof p->key ? sizeof p->key : key_bytes;
    memcpy(p->key, key, p->key_bytes);
  }
  if (!p->value || p->value_room < value_bytes) {
    p->value = realloc(p->value, value_bytes);
    p->value_room = value_bytes;
  }
  p->value_bytes = value_bytes;
  memcpy(p->value, key + key_bytes, value_bytes);
}

// --- the log: a circle of blocks that were written and synced before -----------------------------------------

static int log_file;
static size_t log_place;

static void open_log(const char *directory, int node) {
  char path[4096];
  snprintf(path, sizeof path, "%s/log%d", directory, node);
  log_file = open(path, O_CREAT | O_RDWR, 0600);
  check(log_file >= 0, path);
  char *zeros = calloc(1, 1 << 20);
  for (size_t at = 0; at < LOG_BYTES; at += 1 << 20) {
    check(pwrite(log_file, zeros, 1 << 20, (off_t)at) == 1 << 20, "prepare the log");
  }
  free(zeros);
  check(fsync(log_file) == 0, "sync the log");
}

static void write_log(const char *batch, size_t count) {
  if (log_place + count > LOG_BYTES) log_place = 0;
  check(pwrite(log_file, batch, count, (off_t)log_place) == (ssize_t)count, "write the log");
  check(fdatasync(log_file) == 0, "sync the log");
  log_place += count;
}

// --- connections ---------------------------------------------------------------------------------------------

enum kind { LISTENER, CLIENT, FOLLOWER, LEADER };
struct link { int fd; enum kind kind; int writing, touched; struct bytes in, out; uint64_t has; };

static int poller;

static struct link *add_link(int fd, enum kind kind) {
  struct link *l = calloc(1, sizeof *l);
  l->fd = fd;
  l->kind = kind;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
  check(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
  return l;
}

static void flush(struct link *l) {
  if (l->fd < 0) return;
  while (l->out.first < l->out.last) {
    ssize_t sent = send(l->fd, l->out.base + l->out.first, l->out.last - l->out.first,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) break;
    drop(&l->out, (size_t)sent);
  }
  int writing = l->out.first < l->out.last;
  if (writing == l->writing) return;
  struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = l};
  epoll_ctl(poller, EPOLL_CTL_MOD, l->fd, &event);
  l->writing = writing;
}

// Answers whether the connection lives.
static int receive(struct link *l) {
  char *place = grow(&l->in, 65536);
  ssize_t count = recv(l->fd, place, 65536, MSG_DONTWAIT);
  l->in.last -= 65536 - (size_t)(count > 0 ? count : 0);
  return count > 0 || (count < 0 && errno == EAGAIN);
}

static void quicken(int fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

// --- what is under way ---------------------------------------------------------------------------------------

struct pending { struct link *link; uint32_t id; size_t at; };
static struct pending *pending;     // by record number
static char *kept;                  // records until they are applied, in a circle
static size_t kept_place;
static struct bytes batch;          // what this turn brought
static uint32_t batch_count;
static uint64_t newest, synced, committed, told;
static struct link *touched[65536];
static int touched_count;

static void touch(struct link *l) {
  if (l->touched) return;
  l->touched = 1;
  touched[touched_count++] = l;
}

// Copies a whole batch to where it stays until it is applied, and notes where each record is.
static void keep(const char *records, size_t count, uint64_t first, uint32_t how_many) {
  if (kept_place + count > KEPT_BYTES) kept_place = 0;
  memcpy(kept + kept_place, records, count);
  size_t at = kept_place;
  for (uint32_t n = 0; n < how_many; n++) {
    pending[(first + n) & (PENDING - 1)].at = at;
    at += padded(word(kept + at));
  }
  kept_place += count;
}

static void take_request(struct link *l, const char *body, uint32_t length) {
  uint32_t id = word(body), what = word(body + 4), key_bytes = word(body + 8);
  const char *key = body + 12;
  if (what == 1) {
    size_t count = RECORD_HEAD + length - 12;
    char *record = grow(&batch, padded(count));
    uint32_t head[4] = {(uint32_t)count, 0, key_bytes, (uint32_t)(newest + 1)};
    memcpy(record, head, sizeof head);
    memcpy(record + RECORD_HEAD, key, length - 12);
    memset(record + count, 0, padded(count) - count);
    uint32_t sum = checksum(record + 8, count - 8);
    memcpy(record + 4, &sum, 4);
    newest++;
    pending[newest & (PENDING - 1)].link = l;
    pending[newest & (PENDING - 1)].id = id;
    batch_count++;
    return;
  }
  struct place *p = look_up(key, key_bytes);
  uint32_t head[2] = {4 + p->value_bytes, id};
  char *answer = grow(&l->out, 8 + p->value_bytes);
  memcpy(answer, head, 8);
  if (p->value_bytes) memcpy(answer + 8, p->value, p->value_bytes);
  touch(l);
}

static void take_requests(struct link *l) {
  for (;;) {
    size_t there = l->in.last - l->in.first;
    const char *p = l->in.base + l->in.first;
    if (there < 16 || there < 4 + (size_t)word(p)) return;
    take_request(l, p + 4, word(p));
    drop(&l->in, 4 + word(p));
  }
}

static void take_batches(struct link *l) {
  while (l->in.last - l->in.first >= BATCH_HEAD) {
    const char *p = l->in.base + l->in.first;
    size_t length = word(p);
    uint32_t count = word(p + 4);
    if (l->in.last - l->in.first < BATCH_HEAD + length) return;
    memcpy(&committed, p + 8, 8);
    const char *records = p + BATCH_HEAD;
    for (size_t at = 0; at < length; at += padded(word(records + at))) {
      const char *record = records + at;
      errno = EBADMSG;
      check(checksum(record + 8, word(record) - 8) == word(record + 4), "a record");
    }
    keep(records, length, newest + 1, count);
    memcpy(grow(&batch, length), records, length);
    newest += count;
    batch_count += count;
    drop(&l->in, BATCH_HEAD + length);
  }
}

static void take_acknowledgements(struct link *l) {
  while (l->in.last - l->in.first >= 8) {
    memcpy(&l->has, l->in.base + l->in.first, 8);
    drop(&l->in, 8);
  }
}

// --- the turn ------------------------------------------------------------------------------------------------

static void hand_on(struct link *followers[2]) {
  size_t length = batch.last - batch.first;
  keep(batch.base + batch.first, length, newest - batch_count + 1, batch_count);
  for (int f = 0; f < 2; f++) {
    char *place = grow(&followers[f]->out, BATCH_HEAD + length);
    uint32_t head[2] = {(uint32_t)length, batch_count};
    memcpy(place, head, 8);
    memcpy(place + 8, &committed, 8);
    memcpy(place + BATCH_HEAD, batch.base + batch.first, length);
    flush(followers[f]);
  }
}

static void commit_and_answer(struct link *followers[2]) {
  uint64_t a = synced, b = followers[0]->has, c = followers[1]->has;
  uint64_t low = a < b ? a : b, high = a < b ? b : a;
  uint64_t middle = c < low ? low : c < high ? c : high;
  while (committed < middle) {
    struct pending *p = &pending[++committed & (PENDING - 1)];
    apply(kept + p->at);
    if (p->link->fd < 0) continue;
    uint32_t answer[2] = {4, p->id};
    memcpy(grow(&p->link->out, 8), answer, 8);
    touch(p->link);
  }
}

static void end_turn(struct link *followers[2], struct link *leader) {
  if (batch_count) {
    if (!leader) hand_on(followers);
    write_log(batch.base + batch.first, batch.last - batch.first);
    synced = newest;
    batch.first = batch.last = batch_count = 0;
  }
  if (!leader) {
    commit_and_answer(followers);
  } else {
    static uint64_t acknowledged;
    if (synced > acknowledged) {
      acknowledged = synced;
      memcpy(grow(&leader->out, 8), &acknowledged, 8);
      flush(leader);
    }
    while (told < committed && told < newest) apply(kept + pending[++told & (PENDING - 1)].at);
  }
  for (int n = 0; n < touched_count; n++) {
    touched[n]->touched = 0;
    flush(touched[n]);
  }
  touched_count = 0;
}

static struct link *follow(int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
  for (;;) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (void *)&address, sizeof address) == 0) {
      quicken(fd);
      return add_link(fd, FOLLOWER);
    }
    close(fd);
    usleep(20000);
  }
}

// Takes what one connection has brought.
static struct link *take(struct link *l, int node, struct link *leader) {
  if (l->kind == LISTENER) {
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return leader;
    quicken(fd);
    struct link *new = add_link(fd, node == 1 ? CLIENT : LEADER);
    return node == 1 ? NULL : new;
  }
  if (!receive(l)) {
    if (l->kind != CLIENT) exit(0);
    close(l->fd);
    l->fd = -1;
    return leader;
  }
  switch (l->kind) {
    case CLIENT: take_requests(l); break;
    case FOLLOWER: take_acknowledgements(l); break;
    default: take_batches(l);
  }
  return leader;
}

static void serve(int node, char **ports) {
  struct link *leader = NULL, *followers[2] = {NULL, NULL};
  if (node == 1) {
    for (int f = 0; f < 2; f++) followers[f] = follow(atoi(ports[1 + f]));
  }
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(poller, events, 256, -1);
    for (int n = 0; n < count; n++) {
      struct link *l = events[n].data.ptr;
      if (l->fd < 0) continue;
      if (events[n].events & EPOLLOUT) flush(l);
      if (events[n].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) leader = take(l, node, leader);
    }
    if (node == 1 || leader) end_turn(followers, leader);
  }
}

int main(int count, char **words) {
  if (count != 6) {
    fprintf(stderr, "usage: skeleton NODE DIRECTORY PORT1 PORT2 PORT3\n");
    return 2;
  }
  int node = atoi(words[1]);
  table = calloc(TABLE, sizeof *table);
  kept = malloc(KEPT_BYTES);
  pending = calloc(PENDING, sizeof *pending);
  open_log(words[2], node);
  poller = epoll_create1(0);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)atoi(words[2 + node]))};
  check(bind(listener, (void *)&address, sizeof address) == 0, "bind");
  check(listen(listener, 4096) == 0, "listen");
  add_link(listener, LISTENER);
  serve(node, words + 3);
}

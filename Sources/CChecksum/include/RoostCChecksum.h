// CRC-32C (Castagnoli) by the processor's own instruction, where there is one.
//
// A pure function of its bytes: it makes no system call and keeps no state, so pure modules may use it.
// The table version in Swift gives the same answers everywhere else.

#ifndef ROOST_CCHECKSUM_H
#define ROOST_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/// Asks the processor to bring `count` bytes near, before they are needed; nothing else happens, wherever they are.
static inline void roost_prefetch(const void *start, size_t count) {
  const char *bytes = (const char *)start;
  for (size_t offset = 0; offset < count; offset += 64) __builtin_prefetch(bytes + offset, 1, 3);
}

/// Whether all bytes are 0: fast in debug builds too, where a loop in Swift is not.
static inline int roost_is_zero(const uint8_t *bytes, size_t count) {
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    if (word != 0) return 0;
    bytes += 8;
    count -= 8;
  }
  while (count > 0) {
    if (*bytes != 0) return 0;
    bytes += 1;
    count -= 1;
  }
  return 1;
}

#if defined(__x86_64__)

/// Whether this processor has the instruction.
static inline int roost_crc32c_available(void) { return __builtin_cpu_supports("sse4.2"); }

/// Goes on with the checksum register `crc` over `count` bytes; no inversion at either end.
__attribute__((target("sse4.2"))) static inline uint32_t roost_crc32c_update(
    uint32_t crc, const uint8_t *bytes, size_t count) {
  uint64_t state = crc;
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    state = __builtin_ia32_crc32di(state, word);
    bytes += 8;
    count -= 8;
  }
  while (count > 0) {
    state = __builtin_ia32_crc32qi((uint32_t)state, *bytes);
    bytes += 1;
    count -= 1;
  }
  return (uint32_t)state;
}

/// Goes on with four registers over `count` bytes each, which start `stride` bytes apart: the instruction has a
/// latency of three cycles and another can start in each, so four take hardly longer than one.
__attribute__((target("sse4.2"))) static inline void roost_crc32c_update_four(
    uint32_t crc[4], const uint8_t *bytes, size_t stride, size_t count) {
  uint64_t first = crc[0], second = crc[1], third = crc[2], fourth = crc[3];
  size_t offset = 0;
  for (; offset + 8 <= count; offset += 8) {
    uint64_t words[4];
    memcpy(&words[0], bytes + offset, 8);
    memcpy(&words[1], bytes + stride + offset, 8);
    memcpy(&words[2], bytes + 2 * stride + offset, 8);
    memcpy(&words[3], bytes + 3 * stride + offset, 8);
    first = __builtin_ia32_crc32di(first, words[0]);
    second = __builtin_ia32_crc32di(second, words[1]);
    third = __builtin_ia32_crc32di(third, words[2]);
    fourth = __builtin_ia32_crc32di(fourth, words[3]);
  }
  crc[0] = roost_crc32c_update((uint32_t)first, bytes + offset, count - offset);
  crc[1] = roost_crc32c_update((uint32_t)second, bytes + stride + offset, count - offset);
  crc[2] = roost_crc32c_update((uint32_t)third, bytes + 2 * stride + offset, count - offset);
  crc[3] = roost_crc32c_update((uint32_t)fourth, bytes + 3 * stride + offset, count - offset);
}

#else

static inline int roost_crc32c_available(void) { return 0; }

static inline uint32_t roost_crc32c_update(uint32_t crc, const uint8_t *bytes, size_t count) {
  (void)bytes;
  (void)count;
  return crc;
}

static inline void roost_crc32c_update_four(uint32_t crc[4], const uint8_t *bytes, size_t stride,
                                            size_t count) {
  (void)crc;
  (void)bytes;
  (void)stride;
  (void)count;
}

#endif

#endif

// CRC-32C (Castagnoli) by the processor's own instruction, where there is one.
//
// A pure function of its bytes: it makes no system call and keeps no state, so pure modules may use it.
// The table version in Swift gives the same answers everywhere else.

#ifndef ROOST_CCHECKSUM_H
#define ROOST_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

#else

static inline int roost_crc32c_available(void) { return 0; }

static inline uint32_t roost_crc32c_update(uint32_t crc, const uint8_t *bytes, size_t count) {
  (void)bytes;
  (void)count;
  return crc;
}

#endif

#endif

internal import Glibc
internal import RoostCLinux

/// The clock and the dice of this machine: read here and nowhere else.
package enum Machine {
  /// Nanoseconds on a clock that never goes back and goes on while the machine is suspended.
  ///
  /// A clock that stood still in a suspend would let a node or a lock holder believe that its time has
  /// not run out.
  package static func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    // SAFETY: the call fills the struct that it is given.
    let result = unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    precondition(result == 0, "Linux has CLOCK_BOOTTIME")
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Seconds and milliseconds of the wall clock: for logs alone, since it decides nothing.
  package static func wallClock() -> (seconds: Int, milliseconds: Int) {
    var time = timespec()
    // SAFETY: the call fills the struct that it is given.
    let result = unsafe clock_gettime(CLOCK_REALTIME, &time)
    precondition(result == 0, "Linux has CLOCK_REALTIME")
    return (time.tv_sec, time.tv_nsec / 1_000_000)
  }

  /// Sixty-four bits that nobody can guess.
  package static func randomBits() -> UInt64 {
    var bits: UInt64 = 0
    // SAFETY: the call fills the eight bytes that it is given.
    let count = unsafe withUnsafeMutableBytes(of: &bits) { buffer in
      unsafe roost_random(buffer.baseAddress, buffer.count)
    }
    precondition(count == 8, "getrandom answers up to 256 bytes whole")
    return bits
  }
}

internal import Glibc
internal import RoostCLinux

/// The kernel's queue for writes that are durable when they complete.
///
/// The thread that starts the first write is the only one that may use it from then on.
@safe package final class IOUring {
  private let ring: UnsafeMutablePointer<roost_ring>
  private var isEnabled = false
  /// How many writes may be under way.
  package static let depth = 64

  /// Makes a queue that makes a signal readable at each completion.
  package init(signalling signal: borrowing Signal) throws(SystemError) {
    unsafe ring = .allocate(capacity: 1)
    // SAFETY: the call fills the struct it is given, or leaves it unused.
    guard unsafe roost_ring_open(ring, UInt32(Self.depth), signal.descriptor) == 0 else {
      let error = SystemError("io_uring_setup")
      unsafe ring.deallocate()
      throw error
    }
  }

  deinit {
    // SAFETY: the struct was filled by a successful open.
    unsafe roost_ring_close(ring)
    unsafe ring.deallocate()
  }

  /// Starts a write past the page cache; the bytes stay as they are until it completes.
  package func write(
    _ bytes: UnsafeRawBufferPointer,
    to file: borrowing File,
    at offset: Int,
    number: UInt64
  ) throws(SystemError) {
    if !isEnabled {
      // SAFETY: the ring is open.
      guard unsafe roost_ring_enable(ring) == 0 else { throw SystemError("io_uring_register") }
      isEnabled = true
    }
    // SAFETY: the caller keeps the bytes; the ring is open and enabled.
    let result = unsafe roost_ring_write(
      ring,
      file.number,
      bytes.baseAddress,
      UInt32(bytes.count),
      UInt64(offset),
      number
    )
    guard result == 0 else { throw SystemError("io_uring_enter") }
  }

  /// Takes a completion: its number, and the bytes written or minus the error.
  package func reap(waiting: Bool = false) -> (number: UInt64, result: Int32)? {
    guard isEnabled else { return nil }
    var number: UInt64 = 0
    var result: Int32 = 0
    // SAFETY: the call fills the two integers it is given.
    let count = unsafe roost_ring_reap(ring, waiting ? 1 : 0, &number, &result)
    return count == 1 ? (number, result) : nil
  }
}

internal import RoostCChecksum

/// A hint to the processor that memory will be used soon, so that several waits for it run side by side.
package enum Prefetch {
  /// Brings bytes near; does nothing else, and any address is allowed.
  package static func bytes(at start: UnsafeRawPointer?, count: Int) {
    // SAFETY: a hint to the processor; nothing is read, and no address is wrong.
    unsafe roost_prefetch(start, count)
  }
}

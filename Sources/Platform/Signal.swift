internal import Glibc
internal import RoostCLinux

/// A descriptor that any thread makes readable, and one thread clears.
package struct Signal: ~Copyable, Sendable {
  private let counter: Descriptor

  package init() throws(SystemError) {
    let number = roost_eventfd()
    guard number >= 0 else { throw SystemError("eventfd") }
    counter = Descriptor(adopting: number)
  }

  /// Readable from ``raise()`` to ``clear()``.
  package var descriptor: Int32 { counter.number }

  package func raise() {
    var one: UInt64 = 1
    // SAFETY: eight bytes of an integer. A full counter (EAGAIN) is readable just as well.
    _ = unsafe write(counter.number, &one, 8)
  }

  package func clear() {
    var count: UInt64 = 0
    // SAFETY: eight bytes of an integer. A counter of zero (EAGAIN) is clear already.
    _ = unsafe read(counter.number, &count, 8)
  }

  /// Waits until the descriptor is readable, and clears it.
  package func wait() {
    var place = pollfd(fd: counter.number, events: Int16(POLLIN), revents: 0)
    // SAFETY: one place is given and counted.
    while unsafe poll(&place, 1, -1) < 1 {}
    clear()
  }
}

internal import Glibc
internal import RoostCLinux
internal import Synchronization

/// Signals as a program meets them.
///
/// A mask would be simpler than a handler, but the concurrency runtime unblocks every signal of the main thread.
package enum Signals {
  /// The first signal that asked for a stop, or 0.
  private static let asked = Atomic<Int32>(0)
  /// What the handler makes readable.
  private static let counter = Atomic<Int32>(-1)

  /// Makes a closed pipe or peer an error instead of the end of the process.
  package static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

  /// Leaves the signals that end a process to others of its group.
  package static func ignoreStops() {
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
  }

  /// Keeps SIGTERM and SIGINT for ``nextStop()``; a second one ends the process at once.
  package static func takeOver() throws(SystemError) {
    let descriptor = roost_eventfd()
    guard descriptor >= 0 else { throw SystemError("eventfd") }
    counter.store(descriptor, ordering: .sequentiallyConsistent)
    for number in [SIGTERM, SIGINT] {
      signal(number) { number in
        guard Signals.asked.exchange(number, ordering: .sequentiallyConsistent) == 0 else {
          _exit(128 + number)
        }
        var one: UInt64 = 1
        // SAFETY: eight bytes of an integer; write may be called in a signal handler.
        _ = unsafe write(Signals.counter.load(ordering: .sequentiallyConsistent), &one, 8)
      }
    }
  }

  /// Waits, on a thread of its own, until somebody asks the process to stop, and answers the signal's name.
  package static func nextStop() async -> String {
    await withCheckedContinuation { continuation in
      do throws(SystemError) {
        try Thread.start(named: "roost-signals") {
          continuation.resume(returning: waitForStop())
        }
      } catch {
        preconditionFailure("a process can start one thread more: \(error)")
      }
    }
  }

  private static func waitForStop() -> String {
    let descriptor = counter.load(ordering: .sequentiallyConsistent)
    precondition(descriptor >= 0, "signals are taken over before one is waited for")
    var place = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    // SAFETY: one place is given and counted.
    while unsafe poll(&place, 1, -1) < 1 {}
    return asked.load(ordering: .sequentiallyConsistent) == SIGINT ? "SIGINT" : "SIGTERM"
  }
}

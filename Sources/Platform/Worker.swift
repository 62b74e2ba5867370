internal import Glibc
internal import Synchronization

/// A thread that does what it is handed, in that order.
package final class Worker: Sendable {
  /// For those that hand in work without owning the thread.
  package let queue: Queue

  /// What the thread and its owner share.
  package final class Queue: Sendable {
    private struct State {
      var jobs: [@Sendable () -> Void] = []
      var isEnding = false
    }

    private let state = Mutex(State())
    private let signal: Signal
    private let ended: Signal

    fileprivate init() throws(SystemError) {
      signal = try Signal()
      ended = try Signal()
    }

    /// Hands in work; after the end it is dropped.
    package func perform(_ job: @escaping @Sendable () -> Void) {
      state.withLock { state in
        if !state.isEnding { state.jobs.append(job) }
      }
      signal.raise()
    }

    fileprivate func end() {
      state.withLock { state in
        state.isEnding = true
        state.jobs.removeAll()
      }
      signal.raise()
      ended.wait()
    }

    fileprivate func run() {
      defer { ended.raise() }
      while true {
        let (jobs, isEnding) = state.withLock { state in
          defer { state.jobs.removeAll() }
          return (state.jobs, state.isEnding)
        }
        if isEnding { return }
        for job in jobs { job() }
        if jobs.isEmpty { signal.wait() }
      }
    }
  }

  package init(named name: String) throws(SystemError) {
    let queue = try Queue()
    self.queue = queue
    try Thread.start(named: name) { queue.run() }
  }

  /// Drops what was not begun, and waits for the end of what was.
  deinit {
    queue.end()
  }
}

/// Bytes at an address, on their way to another thread.
@safe package struct SharedBytes: @unchecked Sendable {
  /// Valid, and unchanged, for as long as whoever made this promises.
  package let bytes: UnsafeRawBufferPointer

  // SAFETY: nobody writes to the bytes while they are shared, so every thread may read them.
  package init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }
}

internal import Glibc
internal import Synchronization

/// A thread that does what it is handed, in that order.
package final class Worker: Sendable {
  private let queue: Queue
  private let thread: Thread

  /// What the thread and its owner share.
  private final class Queue: Sendable {
    private struct State {
      var jobs: [@Sendable () -> Void] = []
      var isEnding = false
    }

    private let state = Mutex(State())
    private let signal: Signal

    init() throws(SystemError) { signal = try Signal() }

    func add(_ job: @escaping @Sendable () -> Void) {
      state.withLock { $0.jobs.append(job) }
      signal.raise()
    }

    func end() {
      state.withLock { state in
        state.isEnding = true
        state.jobs.removeAll()
      }
      signal.raise()
    }

    func run() {
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
    thread = try Thread(named: name) { queue.run() }
  }

  /// Drops what was not begun, and waits for the end of what was.
  deinit {
    queue.end()
    thread.join()
  }

  package func perform(_ job: @escaping @Sendable () -> Void) { queue.add(job) }
}

/// Bytes at an address, on their way to another thread.
@safe package struct SharedBytes: @unchecked Sendable {
  /// Valid, and unchanged, for as long as whoever made this promises.
  package let bytes: UnsafeRawBufferPointer

  // SAFETY: nobody writes to the bytes while they are shared, so every thread may read them.
  package init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }
}

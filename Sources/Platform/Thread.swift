internal import Glibc
internal import RoostCLinux

/// Threads of the system, which nobody waits for.
package enum Thread {
  private final class Body: Sendable {
    private let name: String
    private let body: @Sendable () -> Void

    init(named name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }

    func run() {
      unsafe roost_name_thread(name)
      body()
    }
  }

  /// Starts a thread that runs `body` and ends with it, leaving nothing behind.
  package static func start(
    named name: String,
    _ body: @escaping @Sendable () -> Void
  ) throws(SystemError) {
    var handle = pthread_t()
    // SAFETY: the box is retained for the thread, which releases it.
    let box = unsafe Unmanaged.passRetained(Body(named: name, body))
    let result = unsafe pthread_create(
      &handle,
      nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      },
      box.toOpaque()
    )
    guard result == 0 else {
      unsafe box.release()
      throw SystemError("start a thread", errno: result)
    }
    pthread_detach(handle)
  }

  /// Lets others run that wait for this processor; costs next to nothing if nobody does.
  package static func yield() { sched_yield() }
}

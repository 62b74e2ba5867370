internal import Glibc
internal import RoostCLinux

/// A thread with a name and an end that can be waited for.
package struct Thread: Sendable {
  private let handle: pthread_t

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

  /// Starts a thread that runs `body` once.
  package init(named name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
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
    self.handle = handle
  }

  /// Waits for the thread's end; once only.
  package func join() {
    pthread_join(handle, nil)
  }
}

/// Signals as a program meets them.
package enum Signals {
  /// Makes a closed pipe or peer an error instead of the end of the process.
  package static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

  /// Keeps SIGTERM and SIGINT for ``nextStop()``, in this thread and all that it starts later.
  package static func takeOver() {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGTERM)
    unsafe sigaddset(&set, SIGINT)
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Waits, on a thread of its own, until somebody asks the process to stop, and answers the signal's name.
  package static func nextStop() async -> String {
    await withCheckedContinuation { continuation in
      do throws(SystemError) {
        _ = try Thread(named: "roost-signals") { continuation.resume(returning: waitForStop()) }
      } catch {
        preconditionFailure("a process can start one thread more: \(error)")
      }
    }
  }

  private static func waitForStop() -> String {
    var set = sigset_t()
    var number: Int32 = 0
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGTERM)
    unsafe sigaddset(&set, SIGINT)
    while unsafe sigwait(&set, &number) != 0 {}
    return number == SIGINT ? "SIGINT" : "SIGTERM"
  }
}

internal import Glibc
internal import Synchronization

/// A program that this process has started, and waits for.
package final class ChildProcess: Sendable {
  /// The descriptor under which a child finds what it was passed.
  package static let passedDescriptor: Int32 = 3

  private let id: Int32
  private let hasItsOwnGroup: Bool
  private let ended: Signal
  /// The wait status, and in the highest bit whether there is one.
  private let status = Atomic<UInt64>(0)

  /// Starts a program, which is looked for on the PATH.
  ///
  /// - Parameters:
  ///   - words: Its name and its arguments.
  ///   - inOwnGroup: Whether it begins a process group of its own, so that it can be signalled with all its children.
  ///   - passed: A descriptor that it finds as ``passedDescriptor``.
  /// - Throws: What the system says when there is no such program, or no room for it.
  package init(
    _ words: [String],
    inOwnGroup: Bool,
    passing passed: Int32? = nil
  ) throws(SystemError) {
    precondition(!words.isEmpty, "a program has a name")
    ended = try Signal()
    hasItsOwnGroup = inOwnGroup
    id = try Self.spawn(words, inOwnGroup: inOwnGroup, passing: passed)
    try Thread.start(named: "roost-child") { self.waitForEnd() }
  }

  private static func spawn(
    _ words: [String],
    inOwnGroup: Bool,
    passing passed: Int32?
  ) throws(SystemError) -> Int32 {
    var id: pid_t = 0
    var attributes = posix_spawnattr_t()
    var actions = unsafe posix_spawn_file_actions_t()
    // SAFETY: both are initialised before and destroyed after their one use; the strings live until the call has returned.
    unsafe posix_spawnattr_init(&attributes)
    unsafe posix_spawn_file_actions_init(&actions)
    defer {
      unsafe posix_spawnattr_destroy(&attributes)
      unsafe posix_spawn_file_actions_destroy(&actions)
    }
    // What this process ignores or handles, the child must not.
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTTOU] {
      unsafe sigaddset(&defaults, number)
    }
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    // The threads of the concurrency runtime block most signals.
    var blocked = sigset_t()
    unsafe sigemptyset(&blocked)
    unsafe posix_spawnattr_setsigmask(&attributes, &blocked)
    let group = inOwnGroup ? POSIX_SPAWN_SETPGROUP : 0
    let flags = group | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
    if let passed {
      unsafe posix_spawn_file_actions_adddup2(&actions, passed, passedDescriptor)
    }
    var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for place in words.indices { unsafe free(arguments[place]) } }
    let code = unsafe words[0].withCString { name in
      unsafe posix_spawnp(&id, name, &actions, &attributes, &arguments, environ)
    }
    guard code == 0 else { throw SystemError("start \(words.first ?? "")", errno: code) }
    return id
  }

  private func waitForEnd() {
    var status: Int32 = 0
    while true {
      // SAFETY: the call fills one Int32.
      let result = unsafe waitpid(id, &status, WUNTRACED)
      if result < 0, errno == EINTR { continue }
      guard result == id, status & 0xFF == 0x7F else { break }
      // A terminal's Ctrl-Z would leave it in front and asleep, and nobody could wake it.
      if status >> 8 == SIGTSTP { signal(SIGCONT) }
    }
    self.status.store(1 << 63 | UInt64(UInt32(bitPattern: status)), ordering: .releasing)
    ended.raise()
  }

  /// Readable once the child has ended.
  package var descriptor: Int32 { ended.descriptor }

  /// Its exit code, or 128 and the number of the signal that ended it; nil while it runs.
  package var exitCode: Int32? {
    let status = status.load(ordering: .acquiring)
    guard status >> 63 == 1 else { return nil }
    let signal = Int32(status & 0x7F)
    return signal == 0 ? Int32(status >> 8 & 0xFF) : 128 + signal
  }

  /// Waits until it has ended, on a thread of its own, and answers its exit code.
  package func end() async -> Int32 {
    await withCheckedContinuation { continuation in
      do throws(SystemError) {
        try Thread.start(named: "roost-wait") {
          while self.exitCode == nil { self.ended.wait() }
          continuation.resume(returning: self.exitCode ?? 0)
        }
      } catch {
        preconditionFailure("a process can start one thread more: \(error)")
      }
    }
  }

  /// Sends a signal to the child, and to its group if it has one of its own.
  package func signal(_ number: Int32) {
    Glibc.kill(hasItsOwnGroup ? -id : id, number)
  }

  /// Asks it to end.
  package func terminate() {
    signal(SIGTERM)
    signal(SIGCONT)
  }

  /// Ends it at once.
  package func kill() { signal(SIGKILL) }

  /// Gives it the terminal, if this process has one and stands in front; answers whether it did.
  package func takeTerminal() -> Bool {
    guard hasItsOwnGroup, isatty(STDIN_FILENO) == 1, tcgetpgrp(STDIN_FILENO) == getpgrp() else {
      return false
    }
    Glibc.signal(SIGTTOU, SIG_IGN)
    return tcsetpgrp(STDIN_FILENO, id) == 0
  }

  /// Takes the terminal back.
  package func giveTerminalBack() { tcsetpgrp(STDIN_FILENO, getpgrp()) }
}

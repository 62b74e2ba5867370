internal import RoostPlatform

/// The process beside `kvctl lock`: starts the command, and ends it before the lock can be another's.
///
/// It is a process of its own so that it does its work while kvctl is stopped or killed. All it knows comes through a pipe: a moment of the
/// monotonic clock until which the lock is surely held; a small number, which is a signal to hand on; or 0: the lock is lost. If the pipe ends,
/// nobody renews the lock any more.
struct LockGuard {
  /// What tells this start of the program from one by a person.
  static let word = "--guard"

  private let command: ChildProcess
  private let lead: UInt64
  private var until: UInt64
  private var hasTerminated = false
  private var isLost = false
  private var isListening = true

  /// Runs the guard with the words that `kvctl lock` gives it.
  static func run(_ words: [String]) -> Int32 {
    guard words.count > 5, let until = UInt64(words[0]), let lead = UInt64(words[1]) else {
      Process.complain("error: \(word) is for kvctl itself")
      return ExitCode.usage
    }
    Signals.ignoreStops()
    PassedNumbers.keepToThisProcess(ChildProcess.passedDescriptor)
    Process.setEnvironment("ROOST_LOCK", words[2])
    Process.setEnvironment("ROOST_TOKEN", words[3])
    do throws(SystemError) {
      let command = try ChildProcess(Array(words[5...]), inOwnGroup: true)
      let ownsTerminal = command.takeTerminal()
      defer { if ownsTerminal { command.giveTerminalBack() } }
      var guardian = LockGuard(command: command, lead: lead * 1_000_000, until: until)
      return guardian.watch()
    } catch {
      Process.complain("error: \(error)")
      return ExitCode.notStarted
    }
  }

  private init(command: ChildProcess, lead: UInt64, until: UInt64) {
    self.command = command
    self.lead = lead
    self.until = until
  }

  private mutating func watch() -> Int32 {
    while true {
      // Between the two, the command has time to end by itself.
      let next = hasTerminated ? until - min(lead / 4, until) : until - min(lead, until)
      var descriptors = [command.descriptor]
      if isListening { descriptors.append(ChildProcess.passedDescriptor) }
      let ready = Readable.wait(for: descriptors, until: next)
      if let code = command.exitCode {
        // Its children may still be at work.
        if isLost { command.kill() }
        return isLost ? ExitCode.lockLost : code
      }
      if isListening, ready[1] { listen() }
      let now = Machine.monotonicNanoseconds()
      if now >= until - min(lead / 4, until) {
        isLost = true
        command.kill()
        // What is left to do is to see the end of it.
        until = .max
        hasTerminated = true
      } else if now >= until - min(lead, until) {
        lose()
      }
    }
  }

  private mutating func listen() {
    switch PassedNumbers.take(from: ChildProcess.passedDescriptor) {
    case .number(0):
      // Others may hold it already.
      until = min(until, Machine.monotonicNanoseconds() + lead)
      lose()
    case .number(let signal) where signal < 64: command.signal(Int32(signal))
    case .number(let moment):
      // What was lost stays lost: the command has been told to end.
      if !isLost { until = max(until, moment) }
    case .end:
      isListening = false
      Process.complain(
        "error: kvctl has ended, so that nobody renews the lock; its command is stopped"
      )
      lose()
    }
  }

  private mutating func lose() {
    isLost = true
    guard !hasTerminated else { return }
    hasTerminated = true
    command.terminate()
  }
}

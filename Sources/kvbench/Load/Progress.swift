import Glibc
import RoostPlatform

/// The line on standard error that says how it goes, and the ear for signals that end the run.
struct Progress {
  private let isQuiet: Bool
  private let isTerminal: Bool
  private let what: String
  private let start: UInt64
  private var last: (moment: UInt64, done: UInt64)
  private var nextLook: UInt64

  init(_ what: String, isQuiet: Bool, now: UInt64) {
    self.what = what
    self.isQuiet = isQuiet
    isTerminal = isatty(STDERR_FILENO) == 1
    start = now
    last = (now, 0)
    nextLook = now + 100_000_000
  }

  /// Keeps signals for ``look(_:now:)``, so that servers that were started are stopped.
  static func keepSignals() {
    var set = sigset_t()
    // SAFETY: the set is a local that the calls fill and read.
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGTERM)
    unsafe sigaddset(&set, SIGINT)
    unsafe sigprocmask(SIG_BLOCK, &set, nil)
    _ = signal(SIGPIPE, SIG_IGN)
  }

  private static func isInterrupted() -> Bool {
    var set = sigset_t()
    // SAFETY: as above.
    unsafe sigpending(&set)
    return unsafe sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1
  }

  /// Writes the line once a second, and throws if the run is to end.
  mutating func look(_ tally: Tally, now: UInt64) throws(LoadError) {
    guard now >= nextLook else { return }
    nextLook = now + 100_000_000
    if Self.isInterrupted() { throw LoadError("interrupted") }
    guard !isQuiet, now - last.moment >= 1_000_000_000 else { return }
    let rate = Double(tally.done - min(last.done, tally.done)) * 1e9 / Double(now - last.moment)
    let seconds = (Double(now - start) / 1e9).digits(0)
    let errors = tally.errors > 0 ? ", \(tally.errors) errors" : ""
    let line = "\(what): \(seconds) s, \(tally.done) done, \(rate.digits(0)) a second\(errors)"
    write(isTerminal ? "\r\u{1B}[K\(line)" : line + "\n")
    last = (now, tally.done)
  }

  /// Leaves the terminal's line empty.
  func end() {
    if isTerminal, !isQuiet { write("\r\u{1B}[K") }
  }

  private func write(_ text: String) {
    let bytes = Array(text.utf8)
    // SAFETY: the bytes live through the call.
    _ = unsafe Glibc.write(STDERR_FILENO, bytes, bytes.count)
  }
}

internal import Glibc

/// What a run needs of the machine: the time that has passed, and a line on standard error.
enum Machine {
  private static let start = ContinuousClock.now

  /// Seconds since the first time that this was asked.
  static var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

  /// Sees to it that what was printed can be read.
  static func flush() { fflush(nil) }

  static func complain(_ line: String) {
    var bytes = Array((line + "\n").utf8)
    // SAFETY: the bytes live until the call returns, and their count is theirs.
    unsafe _ = write(2, &bytes, bytes.count)
  }
}

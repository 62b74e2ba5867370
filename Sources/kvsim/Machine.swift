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
    unsafe _ = Glibc.write(2, &bytes, bytes.count)
  }

  /// The text of a file of at most a megabyte; nil if it can't be read.
  static func read(_ file: String) -> String? {
    guard let stream = unsafe fopen(file, "r") else { return nil }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    // SAFETY: the buffer is as long as is said, and the stream is closed once.
    let count = unsafe fread(&bytes, 1, bytes.count, stream)
    unsafe _ = fclose(stream)
    return String(validating: bytes.prefix(count), as: UTF8.self)
  }

  /// Whether the text could be written to the file.
  static func write(_ text: String, to file: String) -> Bool {
    guard let stream = unsafe fopen(file, "w") else { return false }
    let bytes = Array(text.utf8)
    // SAFETY: the bytes live until the call returns, and the stream is closed once.
    let count = unsafe fwrite(bytes, 1, bytes.count, stream)
    return unsafe fclose(stream) == 0 && count == bytes.count
  }
}

internal import Glibc

/// This process as its user meets it: environment, terminal, output and end.
package enum Process {
  /// Ends the process with an exit code, after what was printed is written.
  package static func exit(_ code: Int32) -> Never {
    fflush(nil)
    Glibc.exit(code)
  }

  /// The value of an environment variable.
  package static func environment(_ name: String) -> String? {
    // SAFETY: the string is copied before anybody could change the environment.
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// Sets an environment variable for the programs that this one starts; only while no other thread runs.
  package static func setEnvironment(_ name: String, _ value: String) {
    // SAFETY: the strings are copied, and nobody reads the environment meanwhile.
    _ = unsafe setenv(name, value, 1)
  }

  /// This process's number.
  package static var id: Int32 { getpid() }

  /// How many files and sockets this process may have open at once.
  package static var descriptorLimit: Int {
    var limit = rlimit()
    // SAFETY: the call fills the struct.
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return 1024
    }
    return Int(clamping: limit.rlim_cur)
  }

  /// Asks for as many as its user may ever have.
  package static func raiseDescriptorLimit() {
    var limit = rlimit()
    // SAFETY: the calls fill and read the struct.
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// The machine's name.
  package static var host: String {
    var bytes = [UInt8](repeating: 0, count: 256)
    // SAFETY: the call fills at most all bytes but the last.
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return Int32(-1) }
      return unsafe gethostname(start.assumingMemoryBound(to: CChar.self), buffer.count - 1)
    }
    guard result == 0 else { return "unknown" }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Whether standard output is read by a person.
  package static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Writes bytes to standard output as they are; false if nobody takes them.
  @discardableResult
  package static func write(_ bytes: [UInt8]) -> Bool { write(bytes, to: STDOUT_FILENO) }

  /// Writes a line to standard error.
  package static func complain(_ line: String) {
    _ = write(Array((line + "\n").utf8), to: STDERR_FILENO)
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var offset = 0
    while offset < bytes.count {
      // SAFETY: the range lies within the array.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset...])
        return retryingInterrupted {
          unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
        }
      }
      if count <= 0 { return false }
      offset += count
    }
    return true
  }

  /// Reads standard input to its end, up to a limit; nil above it.
  package static func readInput(limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      // SAFETY: the call fills at most the buffer.
      let count = unsafe buffer.withUnsafeMutableBytes { space in
        retryingInterrupted { unsafe read(STDIN_FILENO, space.baseAddress, space.count) }
      }
      if count <= 0 { return bytes }
      bytes += buffer[..<count]
      if bytes.count > limit { return nil }
    }
  }
}

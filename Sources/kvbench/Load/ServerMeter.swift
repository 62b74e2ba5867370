import Glibc

/// What the servers' processes have used, from /proc.
struct ServerMeter {
  /// Seconds of processor time, all threads, in user and system mode.
  var seconds = 0.0
  var residentBytes = 0

  init(_ processes: [Int32]) {
    for process in processes {
      seconds += Self.processorSeconds(of: process)
      residentBytes += Self.residentBytes(of: process)
    }
  }

  private static func processorSeconds(of process: Int32) -> Double {
    guard let text = read("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else {
      return 0
    }
    // The name in brackets may hold spaces. Behind it the state is field 3; fields 14 and 15 are the times.
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
      return 0
    }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  static func residentBytes(of process: Int32) -> Int {
    guard let text = read("/proc/\(process)/statm") else { return 0 }
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  static func lines(_ path: String) -> [Substring] {
    read(path)?.split(separator: "\n") ?? []
  }

  private static func read(_ path: String) -> String? {
    // SAFETY: the path is terminated, the buffer has the size that is given, and the file is closed here.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var bytes = [UInt8](repeating: 0, count: 8192)
    while true {
      let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
      guard count > 0 else { return text.isEmpty ? nil : String(decoding: text, as: UTF8.self) }
      text += bytes[..<count]
    }
  }
}

import Glibc

/// Time that this thread has used, which a busy machine disturbs least.
struct Stopwatch {
  private let start: UInt64

  init() { start = Self.threadNanoseconds() }

  /// Nanoseconds of processor time since the start.
  var nanoseconds: UInt64 { Self.threadNanoseconds() - start }

  /// How often this thread found a page of memory missing so far.
  static func pageFaults() -> Int {
    var usage = rusage()
    // The number that <sys/resource.h> calls RUSAGE_THREAD, which Swift is not shown.
    let thread: Int32 = 1
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe getrusage(thread, &usage)
    return usage.ru_minflt
  }

  private static func threadNanoseconds() -> UInt64 {
    var time = timespec()
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Memory of this process that is in use, in bytes.
  static func residentBytes() -> Int {
    // SAFETY: the file is opened, read into a local buffer of known size, and closed here.
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 128)
    let count = unsafe fread(&bytes, 1, bytes.count - 1, file)
    let fields = bytes[..<count].split(separator: UInt8(ascii: " "))
    guard fields.count > 1, let text = String(validating: fields[1], as: UTF8.self),
      let pages = Int(text)
    else { return 0 }
    return pages * 4096
  }
}

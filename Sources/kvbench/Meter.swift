import Glibc

/// Wall and processor time of a stretch of work.
struct Meter {
  private let wall: Double
  private let processor: Double

  init() {
    wall = Self.seconds(CLOCK_MONOTONIC)
    processor = Self.seconds(CLOCK_PROCESS_CPUTIME_ID)
  }

  var wallSeconds: Double { Self.seconds(CLOCK_MONOTONIC) - wall }
  var processorSeconds: Double { Self.seconds(CLOCK_PROCESS_CPUTIME_ID) - processor }

  private static func seconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    // SAFETY: the call fills the struct that it is given.
    guard unsafe clock_gettime(clock, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// A table of numbers with a head line.
struct Table {
  private let widths: [Int]

  init(_ heads: [String]) {
    widths = heads.map { max(10, $0.count) }
    row(heads)
  }

  func row(_ cells: [String]) {
    let padded = zip(cells, widths).map { cell, width in
      String(repeating: " ", count: max(0, width - cell.count)) + cell
    }
    print(padded.joined(separator: "  "))
  }
}

extension Double {
  /// The number with so many digits behind the point.
  func digits(_ count: Int) -> String {
    var scale = 1.0
    for _ in 0..<count { scale *= 10 }
    let scaled = Int((self * scale).rounded())
    guard count > 0 else { return String(scaled) }
    let fraction = String(abs(scaled) % Int(scale))
    let zeros = String(repeating: "0", count: count - fraction.count)
    return (scaled < 0 ? "-" : "") + "\(abs(scaled) / Int(scale)).\(zeros)\(fraction)"
  }
}

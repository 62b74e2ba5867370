/// How often each duration was seen, in steps of less than one percent.
///
/// A table in the manner of HdrHistogram: each power of two is cut into 128 equal steps, so that the relative error is
/// the same from nanoseconds to minutes and adding costs a shift and a store.
struct Histogram: Equatable, Sendable {
  private static let bits = 7
  private static let steps = 1 << bits

  private var counts = [UInt64](repeating: 0, count: steps * (64 - bits + 1))
  private(set) var count: UInt64 = 0
  private(set) var maximum: UInt64 = 0
  private var sum = 0.0

  var mean: Double { count == 0 ? 0 : sum / Double(count) }

  mutating func add(_ value: UInt64, times: UInt64 = 1) {
    counts[Self.place(of: value)] += times
    count += times
    sum += Double(value) * Double(times)
    if value > maximum { maximum = value }
  }

  mutating func removeAll() { self = Histogram() }

  /// The least duration that at least this part of all did not exceed, as far as the table knows: the middle of
  /// its step, or the greatest that was seen.
  func percentile(_ part: Double) -> UInt64 {
    precondition(part > 0 && part <= 1, "a part of all lies above 0, up to 1")
    guard count > 0 else { return 0 }
    let wanted = max(1, UInt64((part * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for (place, count) in counts.enumerated() where count > 0 {
      seen += count
      if seen >= wanted { return min(Self.middle(of: place), maximum) }
    }
    return maximum
  }

  /// Values below 128 have a place each; above, the highest seven bits behind the first one count.
  private static func place(of value: UInt64) -> Int {
    guard value >= steps else { return Int(value) }
    let shift = 63 - value.leadingZeroBitCount - bits
    return (shift + 1) << bits + Int(value >> shift) - steps
  }

  private static func middle(of place: Int) -> UInt64 {
    guard place >= steps else { return UInt64(place) }
    let shift = place >> bits - 1
    let low = UInt64(place & (steps - 1) + steps) << shift
    return low + (UInt64(1) << shift - 1) / 2
  }
}

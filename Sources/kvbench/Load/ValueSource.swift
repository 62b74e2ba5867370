/// Values of one size, cut from printable random bytes so that no server can squeeze them.
final class ValueSource {
  private static let spread: UInt64 = 4096

  let byteCount: Int
  private var bytes: [UInt8]
  private var place: UInt64

  init(byteCount: Int, seed: UInt64) {
    self.byteCount = byteCount
    place = seed
    var state = seed
    let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/".utf8)
    bytes = (0..<(Int(Self.spread) + byteCount)).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return letters[Int(state >> 58)]
    }
    isStamped = false
  }

  private var isStamped: Bool

  /// From now on every value begins with this moment, in 16 hexadecimal digits: for those who watch.
  func stamp(_ moment: UInt64) {
    isStamped = true
    for index in 0..<min(16, byteCount) {
      let digit = UInt8(truncatingIfNeeded: moment >> UInt64(60 - 4 * index)) & 15
      bytes[index] = digit < 10 ? 48 + digit : 87 + digit
    }
  }

  /// Calls `body` with the next value.
  @inline(__always)
  func withNext<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    // Another multiplier than the generator of keys has, so that keys and values do not move together.
    place = place &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let start = isStamped ? 0 : Int(place >> 52)
    // SAFETY: the pointer does not leave `body`; `start` is below `spread`, and the value fits behind it.
    return unsafe bytes.withUnsafeBytes { all in
      unsafe body(UnsafeRawBufferPointer(rebasing: all[start..<(start + byteCount)]))
    }
  }
}

/// The kinds of HTTP/2 frames that a load meets.
enum HTTP2Frame: UInt8 {
  case data = 0
  case headers = 1
  case reset = 3
  case settings = 4
  case ping = 6
  case goAway = 7
  case windowUpdate = 8
}

extension Cursor {
  /// Writes the nine bytes in front of every frame.
  @inline(__always)
  mutating func writeFrame(_ kind: HTTP2Frame, _ flags: UInt8, stream: UInt32, byteCount: Int) {
    write(big: UInt32(byteCount << 8) | UInt32(kind.rawValue))
    write(flags)
    write(big: stream)
  }

  @inline(__always)
  mutating func write(varint number: Int) {
    var rest = UInt64(number)
    while rest >= 128 {
      write(UInt8(truncatingIfNeeded: rest) | 128)
      rest >>= 7
    }
    write(UInt8(rest))
  }

  static func varintByteCount(_ number: Int) -> Int {
    var (rest, count) = (number, 1)
    while rest >= 128 {
      rest >>= 7
      count += 1
    }
    return count
  }
}

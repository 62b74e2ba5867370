/// Integers and searches in what has come, with every bound checked.
extension Span<UInt8> {
  @inline(__always)
  func little32(at offset: Int) -> UInt32 {
    UInt32(self[offset]) | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2]) << 16
      | UInt32(self[offset + 3]) << 24
  }

  @inline(__always)
  func big32(at offset: Int) -> UInt32 { little32(at: offset).byteSwapped }

  @inline(__always)
  func big64(at offset: Int) -> UInt64 {
    UInt64(big32(at: offset)) << 32 | UInt64(big32(at: offset + 4))
  }

  @inline(__always)
  func little64(at offset: Int) -> UInt64 { big64(at: offset).byteSwapped }

  /// Where that byte comes next.
  @inline(__always)
  func firstIndex(of byte: UInt8, from start: Int) -> Int? {
    var index = start
    while index < count {
      if self[index] == byte { return index }
      index += 1
    }
    return nil
  }

  /// Whether these bytes stand there.
  func hasBytes(_ text: StaticString, at offset: Int) -> Bool {
    guard offset >= 0, count - offset >= text.utf8CodeUnitCount else { return false }
    for index in 0..<text.utf8CodeUnitCount {
      // SAFETY: the index lies within the static string.
      let wanted = unsafe text.utf8Start[index]
      if self[offset + index] != wanted { return false }
    }
    return true
  }

  /// Where these bytes stand first.
  func firstIndex(of text: StaticString) -> Int? {
    guard count >= text.utf8CodeUnitCount else { return nil }
    return (0...(count - text.utf8CodeUnitCount)).first { hasBytes(text, at: $0) }
  }

  /// The number in decimal digits that stands there, with a sign or not.
  func decimal(from start: Int) -> Int {
    var (index, isNegative, number) = (start, false, 0)
    if index < count, self[index] == UInt8(ascii: "-") {
      isNegative = true
      index += 1
    }
    while index < count, (48...57).contains(self[index]), number < 1 << 58 {
      number = number * 10 + Int(self[index] - 48)
      index += 1
    }
    return isNegative ? -number : number
  }

  /// The bytes as text, at most so many of them.
  func text(limit: Int = 120) -> String {
    String(decoding: extracting(first: Swift.min(count, limit)).copiedBytes(), as: UTF8.self)
  }

  func copiedBytes() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    for index in 0..<count { bytes.append(self[index]) }
    return bytes
  }
}

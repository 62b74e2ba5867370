/// Writes into memory that was set aside for it: what ``ByteQueue/grow(by:)`` hands out.
///
/// Each write moves on; the queue checks at the end that nothing was written beyond.
@safe struct Cursor {
  private(set) var place: UnsafeMutableRawPointer

  init(at place: UnsafeMutableRawPointer) { unsafe self.place = place }

  @inline(__always)
  mutating func write<Value: FixedWidthInteger>(_ value: Value) {
    // SAFETY: ByteQueue.commit refuses a cursor that went beyond its space, which itself ends with slack.
    unsafe place.storeBytes(of: value.littleEndian, as: Value.self)
    unsafe place += MemoryLayout<Value>.size
  }

  @inline(__always)
  mutating func write<Value: FixedWidthInteger>(big value: Value) {
    write(value.byteSwapped)
  }

  @inline(__always)
  mutating func write(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress else { return }
    // SAFETY: as above; source and destination are different buffers.
    unsafe place.copyMemory(from: source, byteCount: bytes.count)
    unsafe place += bytes.count
  }

  @inline(__always)
  mutating func write(_ text: StaticString) {
    // SAFETY: a static string lives for ever and has that many bytes.
    unsafe write(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  mutating func write(_ bytes: [UInt8]) {
    // SAFETY: the bytes are copied within the call.
    unsafe bytes.withUnsafeBytes { unsafe write($0) }
  }

  /// Writes the number in decimal digits, filled with zeros from the left to `width`.
  @inline(__always)
  mutating func write(decimal number: UInt64, width: Int) {
    var rest = number
    var index = width - 1
    while index >= 0 {
      let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
      // SAFETY: as above; the index lies within `width`.
      unsafe place.storeBytes(of: 48 + UInt8(digit), toByteOffset: index, as: UInt8.self)
      rest = quotient
      index -= 1
    }
    unsafe place += width
  }
}

extension Cursor {
  /// Writes a key, the same for every system: `k` and the number, filled up to the size.
  @inline(__always)
  mutating func writeKey(_ key: UInt64, byteCount: Int) {
    write(UInt8(ascii: "k"))
    write(decimal: key, width: byteCount - 1)
  }
}

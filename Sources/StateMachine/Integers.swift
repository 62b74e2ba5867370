extension [UInt8] {
  /// The little-endian number at `offset`, which must lie within the array with all its bytes.
  @inline(__always)
  func load<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
    precondition(
      offset >= 0 && offset <= count - MemoryLayout<Value>.size,
      "the number lies in the array"
    )
    // SAFETY: the precondition proves that the bytes are there, and any bits are a valid integer.
    return unsafe withUnsafeBytes { bytes in
      unsafe Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
  }

  /// Appends four numbers, each least significant byte first, in one go.
  mutating func append(
    littleEndian numbers: (UInt64, UInt64, UInt64, UInt64)
  ) {
    let ordered = (
      numbers.0.littleEndian, numbers.1.littleEndian, numbers.2.littleEndian,
      numbers.3.littleEndian
    )
    // SAFETY: four numbers lie one behind the other, and are read while they live.
    unsafe Swift.withUnsafeBytes(of: ordered) { unsafe append(contentsOf: $0) }
  }
}

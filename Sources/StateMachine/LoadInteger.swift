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
}

extension Span<UInt8> {
  /// Takes a little-endian integer from the front.
  @inlinable
  package mutating func read<Value: FixedWidthInteger>(
    _ type: Value.Type = Value.self
  ) throws(WireError) -> Value {
    let width = MemoryLayout<Value>.size
    guard count >= width else { throw .truncated(needed: width, available: count) }
    // SAFETY: the guard proves that `width` bytes are there, and any bits are a valid integer.
    let value = unsafe withUnsafeBytes { bytes in
      unsafe Value(littleEndian: bytes.loadUnaligned(as: Value.self))
    }
    self = extracting(droppingFirst: width)
    return value
  }

  /// Takes `byteCount` bytes from the front, as a copy.
  @inlinable
  package mutating func readBytes(_ byteCount: Int) throws(WireError) -> [UInt8] {
    guard byteCount >= 0, count >= byteCount else {
      throw .truncated(needed: byteCount, available: count)
    }
    let bytes = extracting(first: byteCount).copied()
    self = extracting(droppingFirst: byteCount)
    return bytes
  }

  /// Takes bytes behind a 32-bit length from the front; `what` names them in the error.
  @inlinable
  package mutating func readPrefixedBytes(
    _ what: String,
    limit: Int
  ) throws(WireError) -> [UInt8] {
    let byteCount = try read(UInt32.self)
    guard Int(byteCount) <= limit else {
      throw .tooLarge(what: what, byteCount: UInt64(byteCount), limit: limit)
    }
    return try readBytes(Int(byteCount))
  }

  /// Takes a flag from the front: one byte, 0 or 1.
  @inlinable
  package mutating func readFlag(_ what: String) throws(WireError) -> Bool {
    switch try read(UInt8.self) {
    case 0: return false
    case 1: return true
    default: throw .invalid(what)
    }
  }

  /// Refuses bytes behind the value that was just taken.
  @inlinable
  package func expectEnd() throws(WireError) {
    guard isEmpty else { throw .trailing(byteCount: count) }
  }

  /// The bytes as an array of their own.
  @inlinable
  package func copied() -> [UInt8] {
    // SAFETY: the pointer does not leave the closure.
    unsafe withUnsafeBufferPointer { unsafe [UInt8]($0) }
  }
}

extension [UInt8] {
  /// Appends an integer, least significant byte first.
  @inlinable
  package mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
    // SAFETY: the bytes of an integer are read while it lives.
    unsafe Swift.withUnsafeBytes(of: value.littleEndian) { unsafe append(contentsOf: $0) }
  }

  /// Appends integers one behind the other, each least significant byte first.
  @inlinable
  package mutating func append(littleEndian values: [UInt64]) {
    #if _endian(little)
    // SAFETY: any integers are bytes, which are read while the array lives.
    unsafe values.withUnsafeBytes { unsafe append(contentsOf: $0) }
    #else
    for value in values { append(littleEndian: value) }
    #endif
  }

  /// Appends bytes behind their length as a 32-bit number.
  @inlinable
  package mutating func append(prefixed bytes: [UInt8]) {
    append(littleEndian: UInt32(bytes.count))
    append(contentsOf: bytes)
  }

  /// Appends the bytes of a span.
  @inlinable
  package mutating func append(contentsOf bytes: borrowing Span<UInt8>) {
    // SAFETY: the pointer does not leave the closure.
    unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }

  /// Replaces the bytes from `offset` on by an integer, least significant byte first.
  @inlinable
  package mutating func overwrite<Value: FixedWidthInteger>(
    at offset: Int,
    littleEndian value: Value
  ) {
    for index in 0..<MemoryLayout<Value>.size {
      self[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }
}

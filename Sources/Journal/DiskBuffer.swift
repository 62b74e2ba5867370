package import RoostWire

/// Bytes at an address that a disk can take as they are: page-aligned, and fixed until released.
///
/// The journal builds a group in one, out of the records that waited in another, and keeps it until the
/// write is complete.
@safe package final class DiskBuffer {
  /// The alignment of the first byte.
  package static let alignment = 4096

  private let storage: UnsafeMutableRawBufferPointer
  /// The bytes in use, from the first on.
  package private(set) var byteCount: Int

  /// A buffer for at least `capacity` bytes, none of them in use.
  package init(capacity: Int) {
    precondition(capacity > 0, "a buffer holds something")
    let (pages, rest) = capacity.quotientAndRemainder(dividingBy: Self.alignment)
    unsafe storage = .allocate(
      byteCount: (pages + (rest > 0 ? 1 : 0)) * Self.alignment,
      alignment: Self.alignment
    )
    byteCount = 0
    unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe storage.deallocate() }

  /// The bytes there is room for.
  package var capacity: Int { unsafe storage.count }

  /// Takes the first `byteCount` bytes into use, with whatever stands there.
  package func reset(byteCount: Int) {
    precondition(byteCount >= 0 && byteCount <= capacity, "a buffer does not grow")
    self.byteCount = byteCount
  }

  /// Puts zeros from a position to the end.
  package func clear(from offset: Int) {
    precondition(offset >= 0 && offset <= byteCount, "bytes are cleared inside the buffer")
    // SAFETY: the precondition keeps the fill within the allocation.
    unsafe UnsafeMutableRawBufferPointer(rebasing: storage[offset..<byteCount])
      .initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// Puts bytes at a position.
  package func put(_ bytes: borrowing Span<UInt8>, at offset: Int) {
    precondition(
      offset >= 0 && offset <= byteCount && bytes.count <= byteCount - offset,
      "bytes are put inside the buffer"
    )
    // SAFETY: the precondition keeps the copy within the allocation, which the source is no part of.
    unsafe bytes.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe storage.baseAddress?.advanced(by: offset)
        .copyMemory(from: start, byteCount: source.count)
    }
  }

  /// Puts an integer at a position, least significant byte first.
  @inline(__always)
  func put<Value: FixedWidthInteger>(littleEndian value: Value, at offset: Int) {
    precondition(
      offset >= 0 && offset + MemoryLayout<Value>.size <= byteCount,
      "an integer is put inside the buffer"
    )
    // SAFETY: the precondition keeps the store within the allocation.
    unsafe storage.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
  }

  /// The integer at a position, least significant byte first.
  @inline(__always)
  func littleEndian<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value {
    precondition(
      offset >= 0 && offset + MemoryLayout<Value>.size <= byteCount,
      "an integer is read inside the buffer"
    )
    // SAFETY: the precondition keeps the load within the allocation, and integers have no invalid bytes.
    return unsafe Value(littleEndian: storage.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// The checksum of a range.
  package func checksum(of range: Range<Int>) -> CRC32C {
    withSpan { CRC32C(of: $0.extracting(range)) }
  }

  /// The bytes in use, for reading.
  package func withSpan<Result>(_ body: (borrowing Span<UInt8>) -> Result) -> Result {
    // SAFETY: the memory lives as long as self, and nobody changes it during the call.
    let bytes = unsafe UnsafeBufferPointer(
      start: storage.baseAddress?.assumingMemoryBound(to: UInt8.self),
      count: byteCount
    )
    return unsafe body(bytes.span)
  }

  /// The bytes in use at their address, for a disk that hands it to the system.
  ///
  /// The address stays valid as long as somebody holds the buffer.
  package var unsafeBytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: storage[..<byteCount])
  }

  /// The same, for a disk that lets the system fill them.
  package var unsafeMutableBytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rebasing: storage[..<byteCount])
  }
}

internal import RoostWire

/// One version of a key, in one piece of memory that is never changed.
///
/// The tree, the history and every copy of the state share it. A removed key leaves a record without a
/// value, a tombstone, until history has gone past it.
///
///     offset  size  field
///     0       8     modified   revision that made this version
///     8       8     created    revision that created the key
///     16      8     version    from 1; 0 for a tombstone
///     24      8     lease      or session; 0: none
///     32      8     position   of the change that made it
///     40      4     checksum   of key and value
///     44      2     key bytes
///     46      2     reserved
///     48      ...   key, value
struct Record: Sendable {
  private static let headerByteCount = 48

  private let bytes: [UInt8]

  /// The numbers of a version.
  struct Numbers: Equatable, Sendable {
    var modified: UInt64
    var created: UInt64
    var version: UInt64
    var lease: UInt64
    var position: UInt64
  }

  init(key: borrowing Span<UInt8>, value: borrowing Span<UInt8>, _ numbers: Numbers) {
    precondition(key.count <= Int(UInt16.max), "a key's length has 16 bits")
    var checksum = CRC32C(of: key)
    checksum.update(with: value)
    let header =
      [
        numbers.modified, numbers.created, numbers.version, numbers.lease, numbers.position,
        UInt64(checksum.value) | UInt64(key.count) << 32,
      ] as InlineArray<6, UInt64>
    let (keyEnd, end) = (
      Self.headerByteCount + key.count, Self.headerByteCount + key.count + value.count
    )
    // SAFETY: the three parts fill the `end` bytes without a gap, and lie within them.
    bytes = unsafe [UInt8](unsafeUninitializedCapacity: end) { buffer, count in
      let memory = UnsafeMutableRawBufferPointer(buffer)
      for index in 0..<6 {
        unsafe memory.storeBytes(
          of: header[index].littleEndian,
          toByteOffset: 8 * index,
          as: UInt64.self
        )
      }
      unsafe key.withUnsafeBytes { key in
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[Self.headerByteCount..<keyEnd])
          .copyMemory(from: key)
      }
      unsafe value.withUnsafeBytes { value in
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[keyEnd..<end])
          .copyMemory(from: value)
      }
      count = end
    }
  }

  /// A key's absence from `revision` on.
  init(tombstoneFor record: Record, revision: UInt64, position: UInt64) {
    let key = record.bytes.span.extracting(record.keyRange)
    let nothing: [UInt8] = []
    self.init(
      key: key,
      value: nothing.span,
      Numbers(modified: revision, created: 0, version: 0, lease: 0, position: position)
    )
  }

  var modified: UInt64 { field(0) }
  var created: UInt64 { field(8) }
  var version: UInt64 { field(16) }
  var lease: UInt64 { field(24) }
  var position: UInt64 { field(32) }

  var isTombstone: Bool { version == 0 }
  var keyByteCount: Int { Int(field(40) >> 32 & 0xFFFF) }
  var valueByteCount: Int { bytes.count - Self.headerByteCount - keyByteCount }
  /// Key and value together.
  var byteCount: Int { bytes.count - Self.headerByteCount }

  var numbers: Numbers {
    Numbers(
      modified: modified,
      created: created,
      version: version,
      lease: lease,
      position: position
    )
  }

  /// What this version adds to the hash of the keyspace.
  var hash: UInt64 {
    let checksum = field(40)
    return StateHash.mix(checksum ^ StateHash.mix(modified ^ StateHash.mix(version ^ lease << 1)))
  }

  private var keyRange: Range<Int> {
    Self.headerByteCount..<(Self.headerByteCount + keyByteCount)
  }

  var key: [UInt8] { Array(bytes[keyRange]) }
  var value: [UInt8] { Array(bytes[keyRange.upperBound...]) }

  /// Lends the key's bytes.
  @inline(__always)
  func withKey<Result>(_ body: (borrowing Span<UInt8>) -> Result) -> Result {
    body(bytes.span.extracting(keyRange))
  }

  /// Lends the value's bytes.
  @inline(__always)
  func withValue<Result>(_ body: (borrowing Span<UInt8>) -> Result) -> Result {
    body(bytes.span.extracting(keyRange.upperBound..<bytes.count))
  }

  /// Appends the version as a reply carries it, as `KeyValue`.
  func encode(into output: inout [UInt8], withValue: Bool = true) {
    output.append(littleEndian: UInt16(keyByteCount))
    output.append(contentsOf: bytes.span.extracting(keyRange))
    let valueStart = withValue ? keyRange.upperBound : bytes.count
    output.append(littleEndian: UInt32(bytes.count - valueStart))
    output.append(contentsOf: bytes.span.extracting(valueStart..<bytes.count))
    output.append(littleEndian: (created, modified, version, lease))
  }

  /// How many bytes ``encode(into:withValue:)`` appends.
  func encodedByteCount(withValue: Bool) -> Int {
    38 + (withValue ? byteCount : keyByteCount)
  }

  /// Whether this and `other` are one and the same version.
  func isSameVersion(as other: Record) -> Bool { position == other.position }

  /// Brings near what a comparison, a replacement or the end of this record touches.
  @inline(__always)
  func prefetch(_ byteCount: Int = 144) {
    // SAFETY: a record is one reference to its bytes. A hint; nothing is read.
    unsafe Prefetch.bytes(at: unsafeBitCast(self, to: UnsafeRawPointer?.self), count: byteCount)
  }

  @inline(__always)
  private func field(_ offset: Int) -> UInt64 { bytes.load(at: offset) }
}

/// How the hash of a state is made from the hashes of its parts.
enum StateHash {
  /// Spreads every bit of `number` over all bits of the result.
  @inline(__always)
  static func mix(_ number: UInt64) -> UInt64 {
    var mixed = number &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

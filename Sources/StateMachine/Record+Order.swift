extension Record {
  /// Below 0 if this record's key comes before `other`, 0 if it is the same, above 0 if it comes after.
  @inline(__always)
  func compare(to other: borrowing Span<UInt8>) -> Int {
    withKey { key in Self.compare(key, other) }
  }

  /// The bytewise order of two keys, as below 0, 0 or above 0.
  static func compare(_ left: borrowing Span<UInt8>, _ right: borrowing Span<UInt8>) -> Int {
    let common = min(left.count, right.count)
    // SAFETY: every load lies below both counts.
    return unsafe left.withUnsafeBytes { left in
      unsafe right.withUnsafeBytes { right in
        var offset = 0
        while offset + 8 <= common {
          let (first, second) = unsafe (
            UInt64(bigEndian: left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            UInt64(bigEndian: right.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
          )
          guard first == second else { return first < second ? -1 : 1 }
          offset += 8
        }
        while offset < common {
          let (first, second) = unsafe (left[offset], right[offset])
          guard first == second else { return first < second ? -1 : 1 }
          offset += 1
        }
        return left.count - right.count
      }
    }
  }
}

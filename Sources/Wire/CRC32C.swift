internal import RoostCChecksum

/// The checksum of frames, records and files: CRC-32C, as in iSCSI and ext4.
///
/// By the processor's instruction where it has one, by eight tables otherwise, with the same answers.
package struct CRC32C: Equatable, Hashable, Sendable {
  /// The register between two updates, not inverted.
  private var register: UInt32 = .max

  package init() {}

  /// The checksum of all of `bytes`.
  package init(of bytes: borrowing Span<UInt8>) {
    update(with: bytes)
  }

  /// The finished checksum of everything that was seen.
  package var value: UInt32 { ~register }

  /// Goes on over more bytes.
  package mutating func update(with bytes: borrowing Span<UInt8>) {
    guard Self.hasInstruction else { return updateByTable(with: bytes) }
    // SAFETY: the pointer and the count are of one buffer, which outlives the call.
    register = unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return register }
      return unsafe roost_crc32c_update(register, start, buffer.count)
    }
  }

  /// The checksums of four stretches of `byteCount` bytes that start `stride` bytes apart.
  ///
  /// The processor takes them in at once, which is more than twice as fast as one after the other.
  package static func four(
    of bytes: borrowing Span<UInt8>,
    stride: Int,
    byteCount: Int
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    precondition(
      stride > 0 && byteCount >= 0 && 3 * stride + byteCount <= bytes.count,
      "four stretches lie within the bytes"
    )
    guard hasInstruction else {
      func value(_ number: Int) -> UInt32 {
        CRC32C(of: bytes.extracting(number * stride..<number * stride + byteCount)).value
      }
      return (value(0), value(1), value(2), value(3))
    }
    var registers: [4 of UInt32] = [.max, .max, .max, .max]
    // SAFETY: the precondition keeps all four stretches within the buffer, which outlives the call.
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      unsafe withUnsafeMutablePointer(to: &registers) { pointer in
        unsafe pointer.withMemoryRebound(to: UInt32.self, capacity: 4) { place in
          unsafe roost_crc32c_update_four(place, start, stride, byteCount)
        }
      }
    }
    return (~registers[0], ~registers[1], ~registers[2], ~registers[3])
  }

  /// The same without the instruction: for other processors, and for the test that both agree.
  package mutating func updateByTable(with bytes: borrowing Span<UInt8>) {
    var register = self.register
    var index = 0
    while bytes.count - index >= 8 {
      let low =
        register
        ^ (UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8
          | UInt32(bytes[index + 2]) << 16 | UInt32(bytes[index + 3]) << 24)
      register =
        Self.tables[7 * 256 + Int(low & 0xFF)]
        ^ Self.tables[6 * 256 + Int(low >> 8 & 0xFF)]
        ^ Self.tables[5 * 256 + Int(low >> 16 & 0xFF)]
        ^ Self.tables[4 * 256 + Int(low >> 24)]
        ^ Self.tables[3 * 256 + Int(bytes[index + 4])]
        ^ Self.tables[2 * 256 + Int(bytes[index + 5])]
        ^ Self.tables[256 + Int(bytes[index + 6])]
        ^ Self.tables[Int(bytes[index + 7])]
      index += 8
    }
    while index < bytes.count {
      register = register >> 8 ^ Self.tables[Int((register ^ UInt32(bytes[index])) & 0xFF)]
      index += 1
    }
    self.register = register
  }

  private static let hasInstruction = roost_crc32c_available() != 0

  /// Eight tables of 256: table `k` advances a byte that `k` more bytes follow.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var register = UInt32(byte)
      for _ in 0..<8 {
        register = register & 1 == 1 ? register >> 1 ^ 0x82F6_3B78 : register >> 1
      }
      tables[byte] = register
    }
    for index in 256..<(8 * 256) {
      let previous = tables[index - 256]
      tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
    }
    return tables
  }()
}

extension Span<UInt8> {
  /// Whether all bytes are 0; none are, too.
  package var isZero: Bool {
    // SAFETY: the pointer and the count are of one buffer, which outlives the call.
    unsafe withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return true }
      return unsafe roost_is_zero(start, buffer.count) != 0
    }
  }
}

/// The few parts of protocol buffers that etcd's requests need.
extension [UInt8] {
  mutating func append(varint number: UInt64) {
    var rest = number
    while rest >= 128 {
      append(UInt8(truncatingIfNeeded: rest) | 128)
      rest >>= 7
    }
    append(UInt8(rest))
  }

  mutating func append(field: Int, _ bytes: [UInt8]) {
    append(varint: UInt64(field << 3 | 2))
    append(varint: UInt64(bytes.count))
    append(contentsOf: bytes)
  }

  mutating func append(field: Int, _ number: UInt64) {
    append(varint: UInt64(field << 3))
    append(varint: number)
  }
}

/// One field of a message: its number, and where its bytes are.
struct ProtobufField {
  var number: Int
  var value: UInt64
  var bytes: Range<Int>

  /// The next field, from `offset` on; nil at the end, or where what follows can't be read.
  static func next(in message: Span<UInt8>, at offset: inout Int) -> ProtobufField? {
    guard offset < message.count, let tag = varint(in: message, at: &offset) else { return nil }
    guard let value = varint(in: message, at: &offset) else { return nil }
    var field = ProtobufField(number: Int(tag >> 3), value: value, bytes: offset..<offset)
    switch tag & 7 {
    case 0: return field
    case 2:
      guard value <= UInt64(message.count - offset) else { return nil }
      field.bytes = offset..<(offset + Int(value))
      offset += Int(value)
      return field
    default: return nil
    }
  }

  /// The first field of that number.
  static func first(_ number: Int, in message: Span<UInt8>) -> ProtobufField? {
    var offset = 0
    while let field = next(in: message, at: &offset) {
      if field.number == number { return field }
    }
    return nil
  }

  private static func varint(in message: Span<UInt8>, at offset: inout Int) -> UInt64? {
    var number: UInt64 = 0
    var shift: UInt64 = 0
    while offset < message.count, shift < 64 {
      let byte = message[offset]
      offset += 1
      number |= UInt64(byte & 127) << shift
      if byte < 128 { return number }
      shift += 7
    }
    return nil
  }
}

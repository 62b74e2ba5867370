internal import RoostWire

/// The replies that a session has not acknowledged yet, in the order in which they were made.
///
/// One buffer of `sequence u64, length u32, reply`, which grows at the end and is taken from the front as
/// the client acknowledges; a reply that was replaced keeps its bytes under sequence 0 until then.
struct StoredReplies: Sendable {
  private static let headerByteCount = 12

  private var bytes: [UInt8] = []
  private var head = 0

  init() {}

  var byteCount: Int { bytes.count - head }

  /// Stores a reply; there must be none for its sequence.
  mutating func append(_ reply: borrowing Span<UInt8>, for sequence: UInt64) {
    bytes.append(littleEndian: sequence)
    bytes.append(littleEndian: UInt32(reply.count))
    bytes.append(contentsOf: reply)
  }

  /// Where the reply to `sequence` lies in the buffer that ``withReply(_:_:)`` lends.
  private func find(_ sequence: UInt64) -> (offset: Int, byteCount: Int)? {
    var offset = head
    while offset < bytes.count {
      let byteCount = Int(length(at: offset))
      if number(at: offset) == sequence { return (offset, byteCount) }
      offset += Self.headerByteCount + byteCount
    }
    return nil
  }

  func contains(_ sequence: UInt64) -> Bool { find(sequence) != nil }

  /// Appends the reply to `sequence`, or answers false if there is none.
  func append(replyTo sequence: UInt64, to output: inout [UInt8]) -> Bool {
    guard let (offset, byteCount) = find(sequence) else { return false }
    let start = offset + Self.headerByteCount
    output.append(contentsOf: bytes.span.extracting(start..<(start + byteCount)))
    return true
  }

  /// Makes room for another reply to `sequence`; answers whether there was one.
  mutating func remove(_ sequence: UInt64) -> Bool {
    guard let (offset, _) = find(sequence) else { return false }
    bytes.overwrite(at: offset, littleEndian: UInt64(0))
    return true
  }

  /// Drops replies below `firstIncomplete` from the front.
  mutating func acknowledge(below firstIncomplete: UInt64) {
    while head < bytes.count, number(at: head) < firstIncomplete {
      head += Self.headerByteCount + Int(length(at: head))
    }
    if head == bytes.count {
      bytes.removeAll(keepingCapacity: bytes.capacity <= 4096)
      head = 0
    } else if head > 1024, head > bytes.count / 2 {
      bytes.removeFirst(head)
      head = 0
    }
  }

  private func number(at offset: Int) -> UInt64 { bytes.load(at: offset) }

  private func length(at offset: Int) -> UInt32 { bytes.load(at: offset + 8) }
}

extension StoredReplies {
  /// The buffer from its oldest reply on, as a snapshot carries it.
  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: UInt32(byteCount))
    output.append(contentsOf: bytes.span.extracting(head..<bytes.count))
  }

  init(decoding input: inout Span<UInt8>, limit: Int) throws(WireError) {
    bytes = try input.readPrefixedBytes("stored replies", limit: limit)
    var offset = 0
    while offset < bytes.count {
      guard bytes.count - offset >= Self.headerByteCount else { throw .invalid("stored reply") }
      offset += Self.headerByteCount + Int(length(at: offset))
    }
    guard offset == bytes.count else { throw .invalid("stored reply") }
  }
}

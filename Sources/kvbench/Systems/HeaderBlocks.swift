/// The headers of gRPC requests in HPACK, by hand.
///
/// What a connection says for the first time goes as a literal that the server keeps in its table, without Huffman's code;
/// afterwards its number is enough, as with any client that keeps such a table.
struct HeaderBlocks {
  /// Entries in the order in which they came into the table.
  private var known: [String] = []

  /// The headers of one call.
  mutating func block(path: String) -> [UInt8] {
    // From the table that everybody has: POST, and the scheme http.
    var block: [UInt8] = [0x83, 0x86]
    append(":path", path, staticName: 4, to: &block)
    append(":authority", "localhost", staticName: 1, to: &block)
    append("content-type", "application/grpc", staticName: 31, to: &block)
    append("te", "trailers", staticName: nil, to: &block)
    return block
  }

  private mutating func append(
    _ name: String,
    _ value: String,
    staticName: UInt8?,
    to block: inout [UInt8]
  ) {
    let line = name + "\0" + value
    if let place = known.firstIndex(of: line) {
      // The newest entry has number 62, the first after those that everybody has.
      let number = 62 + known.count - 1 - place
      precondition(number < 127, "a connection makes calls of a few kinds")
      block.append(0x80 | UInt8(number))
      return
    }
    block.append(0x40 | (staticName ?? 0))
    if staticName == nil { Self.append(text: name, to: &block) }
    Self.append(text: value, to: &block)
    known.append(line)
  }

  private static func append(text: String, to block: inout [UInt8]) {
    precondition(text.utf8.count < 127, "names and values are short")
    block.append(UInt8(text.utf8.count))
    block.append(contentsOf: text.utf8)
  }
}
